create or replace function recovery.claim_deliveries(p_webhook text, p_claim uuid, p_limit integer default 1)
returns table (
    event    bigint,
    attempt  integer,
    watch    text,
    kind     text,
    key      text,
    body     jsonb,
    url      text,
    secrets  text[],
    allow    cidr[],
    timeout  interval,
    max_body integer
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_now     timestamptz := recovery._now();
    v_free    integer;
    v_dead    bigint[];
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook and w.paused is null for update;
    if not found then
        return;
    end if;
    -- Whoever sent these for the last time has died over it.
    with dead as (
        update recovery.webhook_delivery as d
        set state = 'dead', claim = null, done = v_now,
            error = 'the dispatcher died during the last attempt'
        where d.webhook = p_webhook and d.state = 'pending' and d.next_at <= v_now
          and d.claim is not null and d.attempts >= v_webhook.max_attempts
        returning d.event
    )
    select array_agg(dead.event) into v_dead from dead;
    if v_dead is not null then
        perform recovery._promote_deliveries(p_webhook, recovery._next_in_line(p_webhook, v_dead));
        v_now := recovery._now();  -- what comes next is due now
    end if;
    select greatest(0, case when v_webhook.failures < 5 then v_webhook.concurrency else 1 end - count(*)) into v_free
    from recovery.webhook_delivery as d
    where d.webhook = p_webhook and d.state = 'pending' and d.next_at > v_now and d.claim is not null;
    return query
        with due as materialized (
            select d.event from recovery.webhook_delivery as d
            where d.webhook = p_webhook and d.state = 'pending' and d.next_at <= v_now
            order by d.next_at, d.event limit least(v_free, p_limit)
        ),
        claimed as (
            update recovery.webhook_delivery as d
            set claim = p_claim, attempts = d.attempts + 1,
                next_at = v_now + v_webhook.timeout + interval '10 seconds'
            from due where d.webhook = p_webhook and d.event = due.event
            returning d.*
        )
        select c.event, c.attempts, c.watch, c.kind, c.key, c.body, v_webhook.url, v_webhook.secrets,
            v_webhook.allow, v_webhook.timeout, v_webhook.max_body
        from claimed as c order by c.event;
end
$$;

comment on function recovery.claim_deliveries(text, uuid, integer) is
    'What a dispatcher is to send now for a webhook; it tells by recovery.record_deliveries, with the same claim, what '
    'became of it. What it does not tell within the timeout and ten seconds is sent again, by whoever asks then.';

revoke all on function recovery.claim_deliveries(text, uuid, integer) from public;
