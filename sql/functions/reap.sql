create or replace function recovery.reap(p_lock_wait interval)
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch bigint;
    v_ended bigint[] := '{}';
begin
    for v_epoch in select v.epoch from recovery.verdict as v where v.dead order by v.epoch loop
        if recovery.finish(v_epoch, 'lease_expired', p_lock_wait, true) then
            v_ended := v_ended || v_epoch;
        end if;
    end loop;
    return v_ended;
end
$$;

comment on function recovery.reap(interval) is 'Ends the servers that recovery.verdict holds for dead; their epochs.';

revoke all on function recovery.reap(interval) from public;
