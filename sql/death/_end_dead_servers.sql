create or replace function recovery._end_dead_servers(p_lock_wait interval)
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_dead  record;
    v_ended bigint[] := '{}';
    v_until timestamptz := recovery._call_deadline();
begin
    perform recovery._observe_servers();
    for v_dead in select v.epoch, v.reason from recovery.judgement as v where v.dead order by v.epoch loop
        exit when clock_timestamp() > v_until;  -- those that are left are the next sweep's
        if recovery._end_epoch(v_dead.epoch, v_dead.reason, p_lock_wait, true) then
            v_ended := v_ended || v_dead.epoch;
        end if;
    end loop;
    perform recovery._end_lost_epochs();
    return v_ended;
end
$$;

comment on function recovery._end_dead_servers(interval) is
    'Ends the servers that recovery.judgement holds for dead; their epochs.';

revoke all on function recovery._end_dead_servers(interval) from public;
