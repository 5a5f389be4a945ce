create or replace function recovery._left_partitions(p_table regclass)
returns setof regclass
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Somebody else's by now: what is a partition elsewhere, or watched for itself.
    select p.relation
    from recovery.partition as p
    join recovery.watch as w on w.id = p.watch and w.own_column
    join pg_class as c on c.oid = p.relation and not c.relispartition
    join pg_attribute as a on a.attrelid = p.relation and a.attname = 'server_epoch' and not a.attisdropped
    where w.relation = p_table and not exists (select from recovery.watch as o where o.relation = p.relation)
$$;

comment on function recovery._left_partitions(regclass) is
    'Tables that were partitions of a watched table and have been detached: they keep the column server_epoch that '
    'attach has made, and its index.';

revoke all on function recovery._left_partitions(regclass) from public;
