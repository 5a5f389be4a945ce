create or replace function recovery._examine_sweeps(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'sweep-missing', 'error', 'database', current_database()::text,
        coalesce('nobody has swept for ' || date_trunc('second', recovery._now() - o.swept), 'nobody has swept yet'),
        'recovery sweep', null::text[]
    from recovery.observation as o
    where coalesce(o.swept < recovery._now() - p_patience, true) and exists (select from recovery._attached_watches())
    union all
    select 'sweep-slow', 'warning', 'database', current_database()::text,
        format('sweeps come every %s, and the shortest lease is %s: who dies is found that much later',
            date_trunc('second', u.every), min(s.lease)),
        'sweep more often (recovery.serve, or cron), or give servers a longer lease', null
    from recovery.observation as o
    cross join lateral (select greatest(o.gap, o.sweeper_every) as every) as u
    join recovery.server as s on s.ended is null and s.lease < u.every
    group by u.every
    union all
    select 'lease-tight', 'warning', 'server', format('%s (epoch %s)', s.name, s.epoch),
        format('beats every %s for a lease of %s: one beat that comes late ends it', s.beat, s.lease),
        'give it a longer lease', null
    from recovery.server as s where s.ended is null and s.beat * 2 > s.lease
$$;

comment on function recovery._examine_sweeps(interval) is
    'Sweeps that do not come, or too seldom for the leases. For recovery.examine().';

revoke all on function recovery._examine_sweeps(interval) from public;
