create or replace function recovery._examine_events()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'events-large', 'note', 'table', 'recovery.outbox',
        format('%s, about %s records, the oldest of %s', pg_size_pretty(s.size), s.records, o.at::date),
        'plan for the space, or keep them for a shorter time: recovery config set event_retention 3d', null::text[]
    from (
        select sum(pg_total_relation_size(c.oid)) as size, sum(greatest(c.reltuples, 0))::bigint as records
        from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'recovery.outbox'::regclass) as s
    cross join lateral (select e.at from recovery.outbox as e order by e.id limit 1) as o
    where s.size > 1024 * 1024 * 1024::bigint
$$;

comment on function recovery._examine_events() is 'How much room the events take. For recovery.examine().';

revoke all on function recovery._examine_events() from public;
