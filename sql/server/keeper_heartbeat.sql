create or replace function recovery.keeper_heartbeat(
    p_epoch bigint, p_token uuid, p_every interval default null, p_direct boolean default true
)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz;
    v_held  boolean;
begin
    if p_every is not null then
        perform recovery._check_interval('beat', p_every, interval '1 millisecond', interval '1 day');
    end if;
    v_until := recovery.heartbeat(p_epoch, p_token);
    -- Held until this session ends. A former connection of the keeper may not be gone yet: the next call tries again.
    v_held := p_direct and (
        exists (select from recovery.keeper_lock as l where l.epoch = p_epoch and l.pid = pg_backend_pid())
                            or pg_try_advisory_lock(-p_epoch));
    update recovery.server as s set keeper = p_direct and (s.keeper or v_held), beat = p_every
    where s.epoch = p_epoch and s.ended is null
      and (s.keeper, s.beat) is distinct from (p_direct and (s.keeper or v_held), p_every);
    return v_until;
end
$$;

comment on function recovery.keeper_heartbeat(bigint, uuid, interval, boolean) is
    'The heartbeat of a keeper, on a connection of its own: holds the session advisory lock -epoch as well, whose '
    'absence is evidence that the keeper is gone, once the next beat, due p_every after the last, has not come. With '
    'p_direct false, through a pooler, it holds none. Returns and raises what recovery.heartbeat does.';

revoke all on function recovery.keeper_heartbeat(bigint, uuid, interval, boolean) from public;
