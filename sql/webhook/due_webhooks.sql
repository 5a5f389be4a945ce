create or replace function recovery.due_webhooks()
returns table (name text, due_in interval, free integer)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.name, n.next_at - recovery._now(),
        greatest(0, case when w.failures < 5 then w.concurrency else 1 end - (
            select count(*)::integer from recovery.webhook_delivery as d
            where d.webhook = w.name and d.state = 'pending' and d.next_at > recovery._now() and d.claim is not null))
    from recovery.webhook as w
    left join lateral (
        select d.next_at from recovery.webhook_delivery as d
        where d.webhook = w.name and d.state = 'pending' order by d.next_at limit 1) as n on true
    where w.paused is null
    order by n.next_at
$$;

comment on function recovery.due_webhooks() is
    'The webhooks that are not paused, in how long each has something to send (null: nothing waits), and how many '
    'deliveries may begin: one at a time while its receiver is down.';

revoke all on function recovery.due_webhooks() from public;
