create or replace function recovery.collect_deliveries(p_webhook text, p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook  recovery.webhook;
    v_consumer text := 'webhook:' || p_webhook;
    v_open     integer;
    v_event    record;
    v_events   bigint[] := '{}';
    v_receipt  text;
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
    for v_event in select f.* from recovery.fetch(v_consumer, p_limit) as f order by f.id loop
        insert into recovery.webhook_delivery as d (webhook, event, watch, kind, key, lane, body, next_at)
        values (
            p_webhook, v_event.id, v_event.watch, v_event.kind, v_event.key,
            case v_webhook.order_by when 'group' then v_event.group_key end,
            jsonb_build_object(
                'id', v_event.id, 'at', v_event.at, 'watch', v_event.watch, 'kind', v_event.kind,
                'topic', v_event.topic, 'key', v_event.key, 'group', v_event.group_key,
                'server_epoch', v_event.server_epoch, 'reason', v_event.reason, 'detector', v_event.detector,
                'old', v_event.old, 'new', v_event.new),
            recovery._now())
        -- It comes again if somebody has moved the consumer back: then it is meant to be sent again.
        on conflict (webhook, event) do update
        set state = 'waiting', attempts = 0, next_at = excluded.next_at, claim = null, done = null, body = excluded.body
        where d.state in ('delivered', 'dead');
        v_events := v_events || v_event.id;
        v_receipt := v_event.receipt;
    end loop;
    if v_receipt is not null then
        perform recovery._promote_deliveries(p_webhook, v_events);
        perform recovery.acknowledge(v_receipt);
    end if;
    return cardinality(v_events);
end
$$;

comment on function recovery.collect_deliveries(text, integer) is
    'Takes the next events of a webhook''s consumer: copies them into recovery.webhook_delivery and acknowledges them, '
    'in one transaction. Returns how many; 0 too if it is paused or not known, or has 20,000 unfinished ones.';

revoke all on function recovery.collect_deliveries(text, integer) from public;
