create or replace function recovery.remove_webhook(p_name text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
    v_count   bigint;
begin
    select count(*) into v_count from recovery.webhook_delivery as d
    where d.webhook = p_name and d.state <> 'delivered';
    delete from recovery.webhook as w where w.name = v_webhook.name;
    begin
        perform recovery.drop_consumer('webhook:' || p_name);
    exception when sqlstate 'RC014' then
        null;  -- somebody has dropped it
    end;
    return v_count;
end
$$;

comment on function recovery.remove_webhook(text) is
    'Sends nothing more to a webhook and forgets it, with its dead letters. Returns how many events it did not get. '
    'RC010 there is none.';

revoke all on function recovery.remove_webhook(text) from public;
