create or replace function recovery.keep(p_epoch bigint, p_token uuid)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.heartbeat(p_epoch, p_token);
    -- Held until this session ends. A former connection of the keeper may not be gone yet: try again.
    if not pg_try_advisory_lock(-p_epoch) then
        return false;
    end if;
    update recovery.server as s set keeper = true, suspected = null where s.epoch = p_epoch and s.ended is null;
    return true;
end
$$;

comment on function recovery.keep(bigint, uuid) is
    'Called once on each new connection of the keeper: takes the session advisory lock -epoch, whose absence is evidence of a lost connection. False: an older connection still holds it, call again later. Errors as recovery.heartbeat.';

revoke all on function recovery.keep(bigint, uuid) from public;
