create or replace function recovery.keep(p_epoch bigint, p_token uuid, p_every interval default null)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz;
begin
    if p_every <= interval '0' or p_every > interval '1 day' then
        perform recovery.fail('RC010', format('a beat every %s is not allowed', p_every), 'Give an interval above 0 and up to 1 day.');
    end if;
    v_until := recovery.heartbeat(p_epoch, p_token);
    -- Held until this session ends. A former connection of the keeper may not be gone yet: the next call tries again.
    if not exists (
        select from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.pid = pg_backend_pid()
          and ((l.classid::bigint << 32) | l.objid::bigint) = -p_epoch)
       and pg_try_advisory_lock(-p_epoch) then
        update recovery.server as s set keeper = true, beat = p_every where s.epoch = p_epoch and s.ended is null;
    end if;
    return v_until;
end
$$;

comment on function recovery.keep(bigint, uuid, interval) is
    'The heartbeat of a keeper, on a connection of its own: holds the session advisory lock -epoch as well, whose absence is evidence that the keeper is gone, once the next beat, due p_every after the last, has not come. Returns and raises what recovery.heartbeat does.';

revoke all on function recovery.keep(bigint, uuid, interval) from public;
