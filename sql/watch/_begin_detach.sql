create or replace function recovery._begin_detach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform recovery._lock_table(p_table, 'access exclusive');
    perform recovery._drop_triggers(p_table);
    -- From here on no sweep looks for its index.
    update recovery.watch as w set attached = null where w.relation = p_table;
end
$$;

comment on function recovery._begin_detach(regclass) is
    'First step of recovery.detach_steps: the triggers go, and the watch is no longer in force.';

revoke all on function recovery._begin_detach(regclass) from public;
