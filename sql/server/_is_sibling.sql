create or replace function recovery._is_sibling(
    p_server recovery.server, p_host text, p_pid integer, p_process_start timestamptz
)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    -- On our own host somebody has just looked at its process; not if it is our own, which may serve one name after
    -- another. Elsewhere the lock of its keeper speaks, which goes with the connection; through a pooler only the lease
    -- does. All locks went when the database restarted or failed over: who has not beaten since may be about to, and
    -- the lease speaks.
    select (p_server.keeper or p_server.beat is not null) and p_server.pending is null and p_server.process_dead is null
       and (p_server.host = p_host and p_server.process_seen > recovery._now() - interval '10 seconds'
                and (p_server.pid, p_server.process_start) is distinct from (p_pid, p_process_start)
            or p_server.heartbeat + p_server.lease >= recovery._now()
                and (not p_server.keeper
                     or exists (select from recovery.keeper_lock as l where l.epoch = p_server.epoch)
                     or p_server.heartbeat <= pg_postmaster_start_time() + (select c.shift from recovery.clock as c)
                     or exists (select from recovery.observation as o
                                where o.timeline <> recovery.timeline()
                                   or o.because = 'the database failed over' and p_server.heartbeat <= o.since)))
$$;

comment on function recovery._is_sibling(recovery.server, text, integer, timestamptz) is
    'Whether a holder of the name is shown to be alive to a process that boots (host, pid, start): it has a keeper, '
    'and on the same host its process lives; elsewhere the lease has not run out and its keeper''s lock is held now, '
    'or went with a restart or failover of the database since its last heartbeat. A boot leaves it alone.';

revoke all on function recovery._is_sibling(recovery.server, text, integer, timestamptz) from public;
