create or replace function recovery.collect_deliveries(p_webhook text, p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_open    integer;
    v_events  bigint[];
    v_receipt text;
    v_count   bigint;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook and w.paused is null for update;
    if not found then
        return 0;
    end if;
    -- A receiver that is down for long must not fill this table: the rest waits in the outbox.
    select count(*) into v_open from (
        select from recovery.webhook_delivery as d
        where d.webhook = p_webhook and d.state in ('waiting', 'pending') limit 20000) as d;
    if v_open >= 20000 then
        return 0;
    end if;
    with page as materialized (
        select f.* from recovery.fetch('webhook:' || p_webhook, p_limit) as f
    ),
    added as (
        insert into recovery.webhook_delivery as d (webhook, event, watch, kind, key, lane, body, next_at)
        select p_webhook, p.id, p.watch, p.kind, p.key, case v_webhook.order_by when 'group' then p.group_key end,
               jsonb_build_object(
                   'id', p.id, 'at', p.at, 'watch', p.watch, 'kind', p.kind, 'topic', p.topic, 'key', p.key,
                   'group', p.group_key, 'server_epoch', p.server_epoch, 'reason', p.reason,
                   'detector', p.detector, 'old', p.old, 'new', p.new),
               recovery._now()
        from page as p
        order by p.id
        -- It comes again if somebody has moved the consumer back: then it is meant to be sent again.
        on conflict (webhook, event) do update
        set state = 'waiting', attempts = 0, next_at = excluded.next_at, claim = null, done = null, body = excluded.body
        where d.state in ('delivered', 'dead')
        returning d.event
    )
    select array_agg(a.event), (select p.receipt from page as p order by p.id desc limit 1), (select count(*) from page)
    into v_events, v_receipt, v_count
    from added as a;
    if v_receipt is not null then
        perform recovery._promote_deliveries(p_webhook, v_events);
        perform recovery.acknowledge(v_receipt);
    end if;
    return v_count;
end
$$;

comment on function recovery.collect_deliveries(text, integer) is
    'Takes the next events of a webhook''s consumer: copies them into recovery.webhook_delivery and acknowledges them, '
    'in one transaction. Returns how many; 0 too if it is paused or not known, or has 20,000 unfinished ones.';

revoke all on function recovery.collect_deliveries(text, integer) from public;
