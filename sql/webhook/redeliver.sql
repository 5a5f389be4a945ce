create or replace function recovery.redeliver(p_webhook text, p_events bigint[] default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_webhook);
    v_events  bigint[];
    v_missing bigint;
begin
    with again as (
        update recovery.webhook_delivery as d
        set state = 'waiting', attempts = 0, next_at = recovery._now(), claim = null, done = null
        where d.webhook = v_webhook.name
          and case when p_events is null then d.state = 'dead'
              else d.event = any (p_events) and d.state in ('delivered', 'dead') end
        returning d.event
    )
    select array_agg(again.event) into v_events from again;
    select e.event into v_missing from unnest(p_events) as e (event)
    where not exists (
        select from recovery.webhook_delivery as d where d.webhook = v_webhook.name and d.event = e.event)
    limit 1;
    if v_missing is not null then
        perform recovery._fail('RC010', format('webhook %s has no delivery of event %s', v_webhook.name, v_missing),
            'What was delivered is kept for a day at most.');
    end if;
    perform recovery._promote_deliveries(v_webhook.name, v_events);
    return coalesce(cardinality(v_events), 0);
end
$$;

comment on function recovery.redeliver(text, bigint[]) is
    'Sends dead letters again: all of a webhook, or these events, which may have been delivered, too. Each has all its '
    'attempts once more, and the id that it had. Returns how many. RC010 no such webhook or delivery.';

revoke all on function recovery.redeliver(text, bigint[]) from public;
