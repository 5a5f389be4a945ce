create or replace function recovery._webhook_named(p_name text)
returns recovery.webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_name for update;
    if not found then
        perform recovery._fail('RC010', format('no webhook is called %s', coalesce(quote_literal(p_name), 'null')),
            'recovery.webhook_status lists them.');
    end if;
    return v_webhook;
end
$$;

comment on function recovery._webhook_named(text) is
    'A webhook by its name, locked: what is collected, claimed and recorded for it happens one after the other. RC010 '
    'there is none.';

revoke all on function recovery._webhook_named(text) from public;
