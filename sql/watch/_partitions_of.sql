create or replace function recovery._partitions_of(p_table regclass)
returns table (parent regclass, relation regclass, owner regrole, filenode oid, leaving boolean)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- pg_partition_tree leaves out what DETACH CONCURRENTLY has begun with.
    with recursive t (parent, oid, leaving) as (
        select i.inhparent, i.inhrelid, i.inhdetachpending
        from pg_inherits as i join pg_class as c on c.oid = i.inhparent and c.relkind = 'p' where i.inhparent = p_table
        union all
        select i.inhparent, i.inhrelid, t.leaving or i.inhdetachpending
        from t join pg_inherits as i on i.inhparent = t.oid
    )
    select t.parent::regclass, c.oid::regclass, c.relowner::regrole, c.relfilenode, t.leaving
    from t join pg_class as c on c.oid = t.oid
$$;

comment on function recovery._partitions_of(regclass) is
    'All partitions of a table, at each level, with their owner and file; leaving: DETACH CONCURRENTLY is under way, '
    'or was interrupted.';

revoke all on function recovery._partitions_of(regclass) from public;
