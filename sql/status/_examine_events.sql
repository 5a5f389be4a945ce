create or replace function recovery._examine_events()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'events-large', 'note', 'table', 'recovery.event',
        format('%s, about %s rows, the oldest of %s: nothing removes old events yet', pg_size_pretty(s.size),
            greatest(c.reltuples, 0)::bigint, o.at::date),
        'plan for the space; what every consumer has read may be deleted', null::text[]
    from pg_class as c
    cross join lateral (select pg_total_relation_size(c.oid) as size) as s
    cross join lateral (select e.at from recovery.event as e order by e.id limit 1) as o
    where c.oid = 'recovery.event'::regclass and s.size > 64 * 1024 * 1024
$$;

comment on function recovery._examine_events() is 'How much room the events take. For recovery.examine().';

revoke all on function recovery._examine_events() from public;
