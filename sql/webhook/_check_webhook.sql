create or replace function recovery._check_webhook(p_webhook recovery.webhook)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_secret text;
begin
    if p_webhook.name is null or p_webhook.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$' then
        perform recovery._fail('RC010',
            format('webhook name %s is not allowed', coalesce(quote_literal(left(p_webhook.name, 60)), 'null')),
            'Give 1 to 50 letters, digits, dots, dashes or underscores, a letter or digit first.');
    elsif p_webhook.url is null or length(p_webhook.url) > 2000
        or p_webhook.url !~ '^https?://[^/?#@[:space:][:cntrl:]]+([/?][^#[:space:][:cntrl:]]*)?$'
    then
        perform recovery._fail('RC010',
            format('webhook URL %s is not allowed',
                -- Somebody's password need not stand in a log.
                coalesce(quote_literal(left(regexp_replace(p_webhook.url, '//.*@', '//***@'), 200)), 'null')),
            'Give https://host/path, without user, password or #fragment: the signature tells who sends.');
    elsif p_webhook.url ~ '^http:' and cardinality(p_webhook.allow) = 0 then
        perform recovery._fail('RC010', 'webhook URLs begin with https://',
            'Without TLS only networks can be reached that are named in allow.');
    elsif p_webhook.order_by is null or p_webhook.order_by not in ('row', 'group') then
        perform recovery._fail('RC010',
            format('webhook order %s is not known', coalesce(quote_literal(p_webhook.order_by), 'null')),
            'Give row or group.');
    end if;
    perform recovery._check_interval('timeout', p_webhook.timeout, interval '1 second', interval '5 minutes');
    perform recovery._check_interval('backoff', p_webhook.backoff, interval '100 milliseconds', interval '1 day');
    perform recovery._check_interval('max_backoff', p_webhook.max_backoff, p_webhook.backoff, interval '7 days');
    perform recovery._check_interval('keep', p_webhook.keep, interval '1 hour', interval '10 years');
    if p_webhook.max_body is null or p_webhook.max_body not between 16384 and 16777216 then
        perform recovery._fail('RC010',
            format('max_body %s is not allowed', coalesce(p_webhook.max_body::text, 'null')),
            'Give 16384 to 16777216 bytes.');
    elsif p_webhook.max_attempts is null or p_webhook.max_attempts not between 1 and 100 then
        perform recovery._fail('RC010',
            format('max_attempts %s is not allowed', coalesce(p_webhook.max_attempts::text, 'null')),
            'Give 1 to 100.');
    elsif p_webhook.concurrency is null or p_webhook.concurrency not between 1 and 1000 then
        perform recovery._fail('RC010',
            format('concurrency %s is not allowed', coalesce(p_webhook.concurrency::text, 'null')),
            'Give 1 to 1000.');
    elsif cardinality(p_webhook.secrets) not between 1 and 4 then
        perform recovery._fail('RC010',
            format('webhook %s would have %s secrets', p_webhook.name, cardinality(p_webhook.secrets)),
            'It may have four: finish the rotation first, so that old ones go.');
    end if;
    -- No message shows a secret.
    foreach v_secret in array p_webhook.secrets loop
        if not coalesce(recovery._is_webhook_secret(v_secret), false) then
            perform recovery._fail('RC010', 'the secret of a webhook can''t be that',
                'Give whsec_ and the base64 of 24 to 64 bytes; or none, and one is made.');
        end if;
    end loop;
end
$$;

comment on function recovery._check_webhook(recovery.webhook) is 'Refuses a webhook that cannot work: RC010.';

revoke all on function recovery._check_webhook(recovery.webhook) from public;
