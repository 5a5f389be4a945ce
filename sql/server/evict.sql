create or replace function recovery.evict(p_server text, p_terminate boolean default false)
returns bigint[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch   bigint;
    v_evicted bigint[] := '{}';
    v_held    bigint;
begin
    for v_epoch in
        select s.epoch from recovery.server as s
        where s.ended is null and (s.name = p_server or s.epoch::text = p_server) order by s.epoch
    loop
        if p_terminate then
            -- Its sessions: who holds the epoch's locks, or says its name.
            perform pg_terminate_backend(x.pid)
            from (select l.pid from pg_locks as l
                  where l.locktype = 'advisory' and l.objsubid = 1
                    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
                    and ((l.classid::bigint << 32) | l.objid::bigint) in (v_epoch, -v_epoch)
                  union
                  select a.pid from pg_stat_activity as a
                  where a.datname = current_database() and a.application_name like '%#' || v_epoch) as x
            where x.pid <> pg_backend_pid();
        end if;
        if recovery._end_epoch(v_epoch, 'evicted', interval '2 seconds')
            or exists (select from recovery.server as s where s.epoch = v_epoch and s.pending is not null)
        then
            v_evicted := v_evicted || v_epoch;
        else
            v_held := v_epoch;
        end if;
    end loop;
    if v_evicted = '{}' and v_held is not null then
        perform recovery._fail('55P03',
            format('epoch %s is not evicted: another transaction holds its row of recovery.server', v_held),
            'See pg_locks for the transaction, or pg_prepared_xacts; end it and evict again.');
    elsif v_evicted = '{}' then
        perform recovery._fail('RC002',
            format('no live server is called %s', coalesce(quote_literal(p_server), 'null')),
            'Give a name or an epoch from recovery.server_status.');
    end if;
    return v_evicted;
end
$$;

comment on function recovery.evict(text, boolean) is
    'An operator ends a server by name or epoch; the next sweep closes its work. With p_terminate its sessions are '
    'cut too (needs pg_signal_backend). RC002 if none is live.';

revoke all on function recovery.evict(text, boolean) from public;
