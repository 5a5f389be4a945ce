create or replace function recovery._is_webhook_secret(p_secret text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_secret ~ '^whsec_[A-Za-z0-9+/]+={0,2}$'
        and octet_length(decode(substr(p_secret, 7), 'base64')) between 24 and 64;
exception when data_exception then
    return false;
end
$$;

comment on function recovery._is_webhook_secret(text) is
    'Whether a text is a secret of Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes.';

revoke all on function recovery._is_webhook_secret(text) from public;
