create or replace function recovery.scope_sql(p_watch recovery.watch, p_owned boolean)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when p_owned then 'r.server_epoch = $1'
                else format('r.server_epoch is null and $1 is null and %s',
                            case when p_watch.unowned is null then 'false'
                                 else format('(%s) < clock_timestamp() - %L::interval', p_watch.started, p_watch.unowned) end) end
        || format(' and (%s)', p_watch.open)
        || case when p_watch.only_if is null then '' else format(' and (%s)', p_watch.only_if) end
$$;

comment on function recovery.scope_sql(recovery.watch, boolean) is
    'The condition for an orphan of epoch $1: owned by it (or by none), open, and meant by the watch. The open predicate stands literally, so that the partial index serves it.';

revoke all on function recovery.scope_sql(recovery.watch, boolean) from public;
