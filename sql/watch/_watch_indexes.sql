create or replace function recovery._watch_indexes(p_watch recovery.watch)
returns table (name text, plain boolean)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.oid::regclass::text, c.relkind = 'i'
    from (select p_watch.relation::oid as oid union select p.relid from pg_partition_tree(p_watch.relation) as p) as t
    join pg_index as i on i.indrelid = t.oid
    join pg_class as c on c.oid = i.indexrelid
    where not c.relispartition
      and c.relname ~ format('^recovery_(open|started)_%s(_new)?(_[0-9]+_[0-9a-f]{6})?$', p_watch.id)
    order by c.relkind = 'i', c.relname
$$;

comment on function recovery._watch_indexes(recovery.watch) is
    'The indexes that were made for a watch, with what an interruption has left on partitions; plain: it can be '
    'dropped concurrently. Those that belong to another one go with it.';

revoke all on function recovery._watch_indexes(recovery.watch) from public;
