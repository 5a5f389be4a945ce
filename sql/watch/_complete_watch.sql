create or replace function recovery._complete_watch(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._make_definitions(p_watch);
    perform recovery._comment_triggers(p_watch.relation);
    perform recovery._rehearse_watch(p_watch.relation);
end
$$;

comment on function recovery._complete_watch(recovery.watch) is
    'Last steps of attach and supervise: makes the index and the triggers that a watch lacks, and plans its '
    'statements. RC006 they cannot work, 42501 no right to make an index.';

revoke all on function recovery._complete_watch(recovery.watch) from public;
