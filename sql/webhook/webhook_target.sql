create or replace function recovery.webhook_target(p_name text)
returns table (url text, secrets text[], allow cidr[], timeout interval, max_body integer)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._webhook_named(p_name);
    return query select w.url, w.secrets, w.allow, w.timeout, w.max_body from recovery.webhook as w
        where w.name = p_name;
end
$$;

comment on function recovery.webhook_target(text) is
    'Where and how a webhook is sent to, with its secrets: for who sends. RC010 there is none.';

revoke all on function recovery.webhook_target(text) from public;
