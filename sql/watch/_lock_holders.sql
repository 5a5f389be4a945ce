create or replace function recovery._lock_holders(p_table regclass)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(distinct coalesce(
        format('backend %s (%s)', l.pid, concat_ws(', ', nullif(a.application_name, ''), a.usename, a.state,
            'its transaction began ' || date_trunc('second', clock_timestamp() - a.xact_start) || ' ago',
            left(regexp_replace(a.query, '\s+', ' ', 'g'), 60))),
        'a prepared transaction'), '; ')
    from pg_locks as l
    left join pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'relation' and l.granted and l.database = (
            select d.oid from pg_database as d where d.datname = current_database())
      and l.pid is distinct from pg_backend_pid()
      and l.relation in (select p_table::oid union select p.relid from pg_partition_tree(p_table) as p)
$$;

comment on function recovery._lock_holders(regclass) is
    'Who holds a lock of a table or of its partitions: what an error says when a lock was not to be had. Null: nobody '
    'does any more.';

revoke all on function recovery._lock_holders(regclass) from public;
