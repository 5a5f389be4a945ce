create or replace function recovery._next_in_line(p_webhook text, p_events bigint[])
returns bigint[]
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(distinct n.event)
    from unnest(p_events) as p (event)
    join recovery.webhook_delivery as d on d.webhook = p_webhook and d.event = p.event
    cross join lateral (
        (select e.event from recovery.webhook_delivery as e
         where e.webhook = p_webhook and e.watch = d.watch and e.key = d.key and e.state in ('waiting', 'pending')
         order by e.event limit 1)
        union
        (select e.event from recovery.webhook_delivery as e
         where e.webhook = p_webhook and e.lane = d.lane and e.lane is not null and e.state in ('waiting', 'pending')
         order by e.event limit 1)
    ) as n
$$;

comment on function recovery._next_in_line(text, bigint[]) is
    'The first unfinished deliveries of the rows and groups of these, which are finished.';

revoke all on function recovery._next_in_line(text, bigint[]) from public;
