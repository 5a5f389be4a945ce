create or replace function recovery._yield_triggers(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.runner is distinct from (recovery._runner_of(p_watch.relation)).id then
        perform recovery._lock_table(p_watch.relation, 'access exclusive');
        perform recovery._drop_triggers(p_watch.relation);
    end if;
end
$$;

comment on function recovery._yield_triggers(recovery.watch) is
    'Drops the triggers of a table that has another owner now: before the trigger functions, which are made anew for '
    'its runner.';

revoke all on function recovery._yield_triggers(recovery.watch) from public;
