create or replace function recovery.heartbeat(p_epoch bigint, p_token uuid)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz;
    v_name  text;
begin
    update recovery.server as s
    set heartbeat = recovery._now(), suspected = null
    where s.epoch = p_epoch and s.token = p_token and s.ended is null and s.pending is null
    returning s.heartbeat + s.lease into v_until;
    if not found then
        select s.name into v_name from recovery.server as s
        where s.epoch = p_epoch and s.ended is null and s.token is distinct from p_token;
        if found then
            perform recovery._fail('RC003',
                format('epoch %s belongs to another boot of server "%s": the token does not match', p_epoch, v_name),
                'After a failover an epoch may have been issued again; boot again to get a new one.');
        end if;
        perform recovery.assert_live(p_epoch);
    end if;
    perform recovery._announce_silent();
    return v_until;
end
$$;

comment on function recovery.heartbeat(bigint, uuid) is
    'Extends the lease and returns until when it holds. RC001: the epoch has ended, the caller must stop; RC002: '
    'unknown; RC003: foreign token.';

revoke all on function recovery.heartbeat(bigint, uuid) from public;
