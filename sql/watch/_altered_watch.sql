create or replace function recovery._altered_watch(p_watch recovery.watch, p_changes jsonb)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_after recovery.watch;
begin
    begin
        perform recovery._yield_triggers(p_watch);
        update recovery.watch as w
        set spec = recovery._changed_spec(p_watch.relation, p_watch.spec, p_changes),
            path = coalesce(p_changes ->> 'search_path', w.path)
        where w.id = p_watch.id returning w.* into v_after;
        perform recovery._fail('RX000', 'taken back');
    exception when sqlstate 'RX000' then
        return v_after;
    end;
end
$$;

comment on function recovery._altered_watch(recovery.watch, jsonb) is
    'What recovery.alter would make of a watch; nothing is changed. RC006 and RC010 as there.';

revoke all on function recovery._altered_watch(recovery.watch, jsonb) from public;
