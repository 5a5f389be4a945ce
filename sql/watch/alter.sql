create or replace function recovery.alter(p_table regclass, p_changes jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* server_epoch stays as it is: whoever owned work in flight before goes on to own it. Fuses, requests, failures and
   settings follow a new name; recovery._carry_over moves them. */
declare
    v_before recovery.watch;
    v_after  recovery.watch;
begin
    perform recovery._check_owner(p_table);
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    perform recovery._prepare_runner(p_table);
    perform recovery._yield_triggers(v_before);
    if p_changes ?| array['name', 'family'] or v_before.outbox <> v_before.id then
        -- Writers of the table wait for the view of its events, too, once that changes: so first they wait here.
        perform recovery._lock_table(p_table, 'access exclusive');
    end if;
    -- Check and compile: by the triggers of recovery.watch.
    update recovery.watch as w
    set spec = recovery._changed_spec(p_table, w.spec, p_changes), path = coalesce(p_changes ->> 'search_path', w.path)
    where w.relation = p_table returning w.* into v_after;
    if v_before.attached is null
        or not recovery._differs(v_before, v_after) and recovery._watch_flaw(v_after) is null
    then
        perform set_config('recovery.attaching', '', true);
        return v_after.name;
    end if;
    perform recovery._add_owner_column(v_after);
    -- While nobody waits for it.
    perform recovery._rehearse_watch(p_table);
    perform recovery._rehearse_closing(p_table);
    if recovery._same_definitions(v_before, v_after) and recovery._watch_flaw(v_after) is null then
        perform set_config('recovery.attaching', '', true);
        return v_after.name;
    end if;
    -- Triggers, index.
    perform recovery._lock_table(p_table, 'access exclusive');
    perform recovery._drop_triggers(p_table);
    perform recovery._replace_indexes(v_before, v_after);
    perform recovery._make_definitions(v_after);
    perform recovery._comment_triggers(p_table);
    perform set_config('recovery.attaching', '', true);
    return v_after.name;
end
$$;

comment on function recovery.alter(regclass, jsonb) is
    'Changes options of a watch: an object with the names of those of recovery.attach, without p_; null resets one. '
    'Every owner of work in flight stays. Also repairs what was removed or disabled. Returns the name. RC006 cannot '
    'work, RC007 the name is taken, RC008 not watched, RC010 no such option, 42501 not the owner.';

revoke all on function recovery.alter(regclass, jsonb) from public;
