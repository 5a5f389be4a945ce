create or replace function recovery._return_triggers()
returns event_trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_released text := nullif(current_setting('recovery.released', true), '');
    v_watch    recovery.watch;
    v_trigger  record;
begin
    if v_released is null then
        return;
    end if;
    perform set_config('recovery.released', '', true);
    for v_watch in
        select w.* from recovery.watch as w where w.relation::oid = any(string_to_array(v_released, ' ')::oid[])
    loop
        if not exists (select from recovery.broken_watch as b where b.watch = v_watch.name) then
            perform recovery._make_definitions(v_watch);
            perform recovery._comment_triggers(v_watch.relation);
            continue;
        end if;
        -- What still works. Without a condition our BEFORE triggers let each row keep, or get, an owner.
        for v_trigger in select d.name, d.statement from recovery._watch_definitions(v_watch) as d loop
            begin
                execute v_trigger.statement;
            exception when others then
                if v_trigger.name in ('zz_recovery_10_insert', 'zz_recovery_20_update') then
                    execute regexp_replace(v_trigger.statement, ' when \(.*\) execute function', ' execute function');
                end if;
            end;
        end loop;
        perform recovery._check_definitions(v_watch.relation);
    end loop;
exception when others then
    raise warning 'recovery: triggers are missing, attach the table again: %', sqlerrm;
end
$$;

comment on function recovery._return_triggers() is
    'Event trigger behind ALTER TABLE: makes the triggers anew that recovery._release_columns took away.';

revoke all on function recovery._return_triggers() from public;
