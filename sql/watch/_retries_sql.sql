create or replace function recovery._retries_sql(p_watch recovery.watch, p_reason text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format('(coalesce(r.%I, 0) + 1 < %s%s)', p_watch.attempts, p_watch.max_attempts,
        case when p_watch.free_reasons <> '{}'
            then format(' or %s = any(%L::text[])', p_reason, p_watch.free_reasons::text) else '' end)
$$;

comment on function recovery._retries_sql(recovery.watch, text) is
    'The condition for a row r to go back to its queue, before the closing has counted: attempts are left, or the '
    'reason (an expression) costs none.';

revoke all on function recovery._retries_sql(recovery.watch, text) from public;
