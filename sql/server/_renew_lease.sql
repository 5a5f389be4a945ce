create or replace function recovery._renew_lease(p_epoch bigint, p_token uuid)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    update recovery.server as s set heartbeat = recovery._now()
    where s.epoch = p_epoch and s.token = p_token and s.ended is null and s.pending is null
$$;

comment on function recovery._renew_lease(bigint, uuid) is
    'A heartbeat that says nothing if the epoch has ended: a boot that was superseded while it closes goes on closing.';

revoke all on function recovery._renew_lease(bigint, uuid) from public;
