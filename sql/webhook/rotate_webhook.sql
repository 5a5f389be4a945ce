create or replace function recovery.rotate_webhook(
    p_name text, p_secret text default null, p_finish boolean default false
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    if coalesce(p_finish, false) then
        if p_secret is not null then
            perform recovery._fail('RC010', 'a rotation is begun with a secret, and finished without',
                'The newest secret is the one that stays.');
        end if;
        v_webhook.secrets := v_webhook.secrets[1:1];
    else
        p_secret := coalesce(p_secret, recovery._make_webhook_secret());
        v_webhook.secrets := array[p_secret] || array_remove(v_webhook.secrets, p_secret);
    end if;
    perform recovery._check_webhook(v_webhook);
    update recovery.webhook as w set secrets = v_webhook.secrets where w.name = p_name;
    return v_webhook.secrets[1];
end
$$;

comment on function recovery.rotate_webhook(text, text, boolean) is
    'Gives a webhook a new secret and returns it: deliveries are signed with it and with the old ones, until p_finish '
    'takes these away. RC010 there is none, or a bad secret, or more than four.';

revoke all on function recovery.rotate_webhook(text, text, boolean) from public;
