create or replace function recovery._follow_watch(p_name text, p_anyway boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_state text;
    v_key   text[];
    v_spec  jsonb;
    v_gone  text;
begin
    select w.* into v_watch from recovery.watch as w where w.name = p_name;
    v_state := recovery._table_state(v_watch);
    if v_watch.id is null
        or v_watch.checked = v_state and recovery._has_names(v_watch.relation, v_watch.uses) and not p_anyway
        or not pg_try_advisory_xact_lock(hashtextextended('recovery.attach', 0))
    then
        return;  -- or somebody else is at it
    end if;
    select w.* into v_watch from recovery.watch as w where w.name = p_name;
    if v_watch.id is null then
        return;
    end if;
    -- Object ids of another cluster say nothing: after a restore the names are right as they are.
    if recovery._is_native(v_watch) then
        v_key := recovery._present_key(v_watch);
        if v_key is distinct from recovery._primary_key(v_watch.relation) then
            perform recovery._fail('RC006', format('the primary key of %s is (%s), and was (%s) when it was attached',
                v_watch.relation, array_to_string(recovery._primary_key(v_watch.relation), ', '),
                array_to_string(v_key, ', ')));
        end if;
        begin
            if recovery._rename_map(v_watch) <> '{}' then
                v_spec := recovery._renamed_spec(v_watch);
            end if;
        exception when sqlstate 'RC006' then
            v_gone := sqlerrm;  -- or something else has its name now
        end;
    end if;
    begin
        -- What was given means more than what was compiled: a literal there has no type yet, and takes that of the
        -- column.
        update recovery.watch as w
        set spec = coalesce(v_spec - 'supervised', w.spec),
            supervised = case when v_spec is null then w.supervised else nullif(v_spec -> 'supervised', 'null') end
        where w.id = v_watch.id;
    exception when sqlstate 'RC006' then
        if v_gone is null then
            raise;
        end if;
        perform recovery._fail('RC006', v_gone);
    end;
    perform recovery._rehearse_watch(v_watch.relation);
    perform recovery._check_constraints(w) from recovery.watch as w where w.id = v_watch.id;
end
$$;

comment on function recovery._follow_watch(text, boolean) is
    'Step of a boot and a sweep: makes the routines of a watch anew if its owner has renamed what they use, and '
    'tries it if rights, constraints or triggers of its table have changed, or p_anyway. RC006, 42501 it is '
    'broken.';

revoke all on function recovery._follow_watch(text, boolean) from public;
