create or replace function recovery._examine_webhooks(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with w as materialized (select s.* from recovery.webhook_status as s)
    select 'webhook-unsent', 'error', 'webhook', w.name,
        format('nobody sends: an event has been due for %s', date_trunc('second', recovery._now() - d.next_at)),
        'recovery webhooks run', null::text[]
    from w cross join lateral (
        select d.next_at from recovery.webhook_delivery as d
        where d.webhook = w.name and d.state = 'pending' order by d.next_at limit 1) as d
    where w.paused is null and d.next_at < recovery._now() - p_patience
    union all
    -- What nobody has collected is not due yet; who sends asks for it at least once a minute.
    select 'webhook-unsent', 'error', 'webhook', w.name,
        format('nobody sends: nobody has asked for its events for %s',
            date_trunc('second', clock_timestamp() - c.seen)),
        'recovery webhooks run', null
    from w join recovery.consumer as c on c.name = 'webhook:' || w.name
    where w.paused is null and w.lag > p_patience and c.seen < clock_timestamp() - p_patience - interval '1 minute'
      and not exists (select from recovery.webhook_delivery as d where d.webhook = w.name and d.state = 'pending'
          and d.next_at < recovery._now() - p_patience)
    union all
    select 'webhook-down', 'error', 'webhook', w.name,
        format('its receiver is down: %s attempts have failed, the last one with: %s', w.failures, w.error),
        format('recovery webhook test %s', w.name), null
    from w where w.state = 'down'
    union all
    select 'webhook-paused', 'warning', 'webhook', w.name,
        format('paused since %s: %s', to_char(w.paused, 'YYYY-MM-DD HH24:MI'), coalesce(w.paused_because, 'by hand')),
        format('recovery webhook resume %s', w.name), null
    from w where w.paused is not null
    union all
    select 'webhook-dead', 'warning', 'webhook', w.name,
        format('%s events were given up, the last one with: %s', w.dead, coalesce(l.error, 'no answer')),
        format('recovery webhook dead %1$s, then recovery webhook redeliver %1$s', w.name), null
    from w cross join lateral (
        select d.error from recovery.dead_letter as d where d.webhook = w.name order by d.died desc limit 1) as l
    union all
    select 'webhook-rotating', 'note', 'webhook', w.name,
        format('signs with %s secrets', w.secrets),
        format('once the receiver knows the newest one: recovery webhook rotate %s --finish', w.name), null
    from w where w.secrets > 1
    union all
    select 'webhook-consumer', 'error', 'webhook', w.name,
        'its consumer was dropped: it gets no more events',
        format('recovery webhook add %s --name %s --replace, with its filters', w.url, w.name), null
    from w where not exists (select from recovery.consumer as c where c.name = 'webhook:' || w.name)
$$;

comment on function recovery._examine_webhooks(interval) is
    'Webhooks that nobody sends, that nobody takes, and what they have given up. For recovery.examine().';

revoke all on function recovery._examine_webhooks(interval) from public;
