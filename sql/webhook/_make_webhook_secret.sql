create or replace function recovery._make_webhook_secret()
returns text
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- A random UUID has 122 bits of a strong generator, the only one that is always there.
    select 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64')
$$;

comment on function recovery._make_webhook_secret() is 'A new secret: 32 bytes, 244 of their bits random.';

revoke all on function recovery._make_webhook_secret() from public;
