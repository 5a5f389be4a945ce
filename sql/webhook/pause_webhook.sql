create or replace function recovery.pause_webhook(p_name text, p_because text default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    update recovery.webhook as w
    set paused = coalesce(w.paused, recovery._now()), paused_because = left(p_because, 500)
    where w.name = v_webhook.name;
end
$$;

comment on function recovery.pause_webhook(text, text) is
    'Sends nothing to a webhook until recovery.resume_webhook; its events stay in the outbox as long as its consumer '
    'does not expire. RC010 there is none.';

revoke all on function recovery.pause_webhook(text, text) from public;
