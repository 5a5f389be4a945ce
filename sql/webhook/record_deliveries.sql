create or replace function recovery.record_deliveries(
    p_webhook  text,
    p_events   bigint[],
    p_claims   uuid[],
    p_statuses integer[],
    p_errors   text[],
    p_took     interval[],
    p_after    interval[]
)
returns table (event bigint, state text, next_in interval)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_now     timestamptz := recovery._now();
    v_row     record;
    v_found   recovery.webhook_delivery;
    v_done    bigint[] := '{}';
    v_up      boolean := false;
    v_pause   interval;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook for update;
    if not found then
        return;
    end if;
    for v_row in
        select * from unnest(p_events, p_claims, p_statuses, p_errors, p_took, p_after)
            as r (event, claim, status, error, took, after)
    loop
        -- Not if somebody else has claimed it since: this dispatcher was taken for dead.
        update recovery.webhook_delivery as d
        set claim = null, status = v_row.status, error = left(v_row.error, 500), took = v_row.took, tried = v_now
        where d.webhook = p_webhook and d.event = v_row.event and d.claim = v_row.claim and d.state = 'pending'
        returning d.* into v_found;
        continue when not found;
        v_pause := null;
        v_webhook.tried := v_now;
        if v_row.error is null and v_row.status between 200 and 299 then
            v_found.state := 'delivered';
            v_webhook.delivered := v_now;
            v_webhook.error := null;
        elsif v_row.status = 410 then
            -- "Gone": the receiver wants no more. Nothing is lost: somebody may resume it.
            v_webhook.paused := coalesce(v_webhook.paused, v_now);
            v_webhook.paused_because := 'the receiver answered 410 Gone';
            v_webhook.error := left(v_row.error, 500);
            v_pause := interval '0';
        elsif v_found.attempts >= v_webhook.max_attempts then
            v_found.state := 'dead';
            v_webhook.error := left(v_row.error, 500);
        else
            v_webhook.error := left(v_row.error, 500);
            v_pause := make_interval(secs => least(
                extract(epoch from v_webhook.max_backoff),
                extract(epoch from v_webhook.backoff) * 4 ^ least(v_found.attempts - 1, 20)) * (0.5 + random()));
            if v_row.after is not null then
                v_pause := greatest(v_pause, least(v_row.after, interval '1 day'));
            end if;
        end if;
        if v_row.status is null or v_row.status = 429 or v_row.status >= 500 then
            v_webhook.failures := v_webhook.failures + 1;
        else
            v_up := v_up or v_webhook.failures >= 5;
            v_webhook.failures := 0;
        end if;
        if v_pause is null then
            v_done := v_done || v_row.event;
            update recovery.webhook_delivery as d set state = v_found.state, done = v_now
            where d.webhook = p_webhook and d.event = v_row.event;
        else
            update recovery.webhook_delivery as d set next_at = v_now + v_pause
            where d.webhook = p_webhook and d.event = v_row.event;
        end if;
        event := v_row.event;
        state := v_found.state;
        next_in := v_pause;
        return next;
    end loop;
    if v_done <> '{}' then
        perform recovery._promote_deliveries(p_webhook, recovery._next_in_line(p_webhook, v_done));
    end if;
    if v_up then
        -- The receiver is back after an outage: its events need not wait for hours any more.
        update recovery.webhook_delivery as d set next_at = v_now + random() * interval '5 seconds'
        where d.webhook = p_webhook and d.state = 'pending' and d.claim is null and d.next_at > v_now;
    end if;
    update recovery.webhook as w
    set paused = v_webhook.paused, paused_because = v_webhook.paused_because, failures = v_webhook.failures,
        tried = v_webhook.tried, delivered = v_webhook.delivered, error = v_webhook.error
    where w.name = p_webhook;
end
$$;

comment on function recovery.record_deliveries(
    text, bigint[], uuid[], integer[], text[], interval[], interval[]
) is
    'What became of claimed deliveries: HTTP status (null: no answer), error (null: taken), how long it took, and how '
    'long the receiver wants us to wait. Says what each is now: delivered, dead, or pending again, and in how long. '
    'Passes over those that somebody else has claimed meanwhile.';

revoke all on function recovery.record_deliveries(
    text, bigint[], uuid[], integer[], text[], interval[], interval[]
) from public;
