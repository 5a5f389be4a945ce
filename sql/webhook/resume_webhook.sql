create or replace function recovery.resume_webhook(p_name text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    update recovery.webhook as w set paused = null, paused_because = null, failures = 0 where w.name = v_webhook.name;
    -- Who resumes has repaired something: what waits for its next attempt is tried now.
    update recovery.webhook_delivery as d set next_at = recovery._now()
    where d.webhook = v_webhook.name and d.state = 'pending' and d.claim is null;
end
$$;

comment on function recovery.resume_webhook(text) is
    'Sends again what a paused webhook has to get, and tries at once what has failed. RC010 there is none.';

revoke all on function recovery.resume_webhook(text) from public;
