create or replace function recovery._close_kind_sql(p_watch recovery.watch, p_heir boolean)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_heir then $sql$'adopted'$sql$
        when p_watch.attempts is null then $sql$'closed'$sql$
        else format($sql$case when u.tries < %s%s then 'requeued' else 'closed' end$sql$, p_watch.max_attempts,
            case when p_watch.free_reasons <> '{}' then format(' or ($1).reason = any(%L::text[])',
                p_watch.free_reasons::text) else '' end) end
$$;

comment on function recovery._close_kind_sql(recovery.watch, boolean) is
    'The kind of the event of a row of u<n> that the statement that closes has changed.';

revoke all on function recovery._close_kind_sql(recovery.watch, boolean) from public;
