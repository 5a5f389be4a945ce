create or replace function recovery.drain(p_epoch bigint, p_token uuid, p_limit interval)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz := recovery._now() + p_limit;
begin
    if p_limit is null or p_limit <= interval '0' or p_limit > interval '7 days' then
        perform recovery._fail('RC010', format('drain limit %s is not allowed', coalesce(p_limit::text, 'null')),
            'Give an interval up to 7 days.');
    end if;
    perform recovery.heartbeat(p_epoch, p_token);
    update recovery.server as s set drain_until = v_until where s.epoch = p_epoch and s.ended is null;
    return v_until;
end
$$;

comment on function recovery.drain(bigint, uuid, interval) is
    'From now on the epoch opens no new work (RC011); what it owns stays its own until it is done or the limit is '
    'over, and a new boot of the name does not supersede it. Errors as recovery.heartbeat.';

revoke all on function recovery.drain(bigint, uuid, interval) from public;
