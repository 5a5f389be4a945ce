create or replace function recovery.add_webhook(
    p_name         text,
    p_url          text,
    p_secret       text     default null,
    p_watch        text[]   default null,
    p_group        text[]   default null,
    p_reason       text[]   default null,
    p_kind         text[]   default null,
    p_topic        text[]   default null,
    p_epoch        bigint[] default null,
    p_after        bigint   default null,
    p_allow        cidr[]   default '{}',
    p_order_by     text     default 'row',
    p_timeout      interval default '15 seconds',
    p_max_body     integer  default 65536,
    p_max_attempts integer  default 10,
    p_backoff      interval default '5 seconds',
    p_max_backoff  interval default '12 hours',
    p_concurrency  integer  default 8,
    p_keep         interval default '30 days',
    p_replace      boolean  default false
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_before  recovery.webhook;
    v_watch   text;
begin
    v_webhook.name := p_name;
    v_webhook.url := p_url;
    v_webhook.allow := coalesce(p_allow, '{}');
    v_webhook.order_by := p_order_by;
    v_webhook.timeout := p_timeout;
    v_webhook.max_body := p_max_body;
    v_webhook.max_attempts := p_max_attempts;
    v_webhook.backoff := p_backoff;
    v_webhook.max_backoff := p_max_backoff;
    v_webhook.concurrency := p_concurrency;
    v_webhook.keep := p_keep;
    select w.* into v_before from recovery.webhook as w where w.name = p_name for update;
    if found and not coalesce(p_replace, false) then
        perform recovery._fail('RC010', format('there is a webhook %s already, for %s', p_name, v_before.url),
            'Give another name, or replace it (p_replace, --replace): its secret, position and deliveries stay.');
    end if;
    v_webhook.secrets := case when p_secret is null
        then coalesce(v_before.secrets, array[recovery._make_webhook_secret()]) else array[p_secret] end;
    perform recovery._check_webhook(v_webhook);
    foreach v_watch in array coalesce(p_watch, '{}') loop
        if not exists (select from recovery._attached_watches() as w where w.name = v_watch) then
            perform recovery._fail('RC008',
                format('nothing is watched as %s', coalesce(quote_literal(v_watch), 'null')),
                'See recovery.watch for the names.');
        end if;
    end loop;
    insert into recovery.webhook as w (
        name, url, secrets, allow, order_by, timeout, max_body, max_attempts, backoff, max_backoff, concurrency, keep)
    values (
        v_webhook.name, v_webhook.url, v_webhook.secrets, v_webhook.allow, v_webhook.order_by, v_webhook.timeout,
        v_webhook.max_body, v_webhook.max_attempts, v_webhook.backoff, v_webhook.max_backoff, v_webhook.concurrency,
        v_webhook.keep)
    on conflict (name) do update
    set url = excluded.url, secrets = excluded.secrets, allow = excluded.allow, order_by = excluded.order_by,
        timeout = excluded.timeout, max_body = excluded.max_body, max_attempts = excluded.max_attempts,
        backoff = excluded.backoff, max_backoff = excluded.max_backoff, concurrency = excluded.concurrency,
        keep = excluded.keep, failures = 0;
    perform recovery.create_consumer(
        'webhook:' || p_name, p_after => p_after, p_watch => p_watch, p_group => p_group, p_reason => p_reason,
        p_kind => p_kind, p_topic => p_topic, p_epoch => p_epoch);
    return v_webhook.secrets[1];
end
$$;

comment on function recovery.add_webhook(
    text, text, text, text[], text[], text[], text[], text[], bigint[], bigint, cidr[], text, interval, integer,
    integer, interval, interval, integer, interval, boolean
) is
    'Sends the events that pass all filters to a URL from now on (or after p_after), and returns the secret that they '
    'are signed with: the given one, or a new one. p_allow: private networks that may be reached, and without TLS. '
    'p_replace: changes the webhook of that name; its position stays. RC008 no such watch, RC010 what can''t work.';

revoke all on function recovery.add_webhook(
    text, text, text, text[], text[], text[], text[], text[], bigint[], bigint, cidr[], text, interval, integer,
    integer, interval, interval, integer, interval, boolean
) from public;
