create or replace function recovery.due_webhooks()
returns table (name text, due_in interval, free integer, fresh boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.name, n.next_at - recovery._now(),
        greatest(0, case when w.failures < 5 then w.concurrency else 1 end - (
            select count(*)::integer from recovery.webhook_delivery as d
            where d.webhook = w.name and d.state = 'pending' and d.next_at > recovery._now() and d.claim is not null)),
        -- Once a minute it is asked in any case: so its consumer is not taken for abandoned.
        c.name is null or c.newest < e.id or c.gaps <> '{}' or c.seen < clock_timestamp() - interval '1 minute'
    from recovery.webhook as w
    left join recovery.consumer as c on c.name = 'webhook:' || w.name
    left join lateral (
        select d.next_at from recovery.webhook_delivery as d
        where d.webhook = w.name and d.state = 'pending' order by d.next_at limit 1) as n on true
    cross join (
        select greatest((select max(o.id) from recovery.outbox as o), f.id) as id from recovery.event_floor as f
    ) as e
    where w.paused is null
    order by n.next_at
$$;

comment on function recovery.due_webhooks() is
    'The webhooks that are not paused: in how long each has something to send (null: nothing waits), how many '
    'deliveries may begin (one at a time while its receiver is down), and whether recovery.collect_deliveries may find '
    'something.';

revoke all on function recovery.due_webhooks() from public;
