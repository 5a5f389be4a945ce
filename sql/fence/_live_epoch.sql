create or replace function recovery._live_epoch(p_name text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch bigint;
begin
    loop
        select s.epoch into v_epoch from recovery.server as s
        where s.name = p_name and s.ended is null and s.pending is null
        order by s.epoch desc limit 1;
        if not found then
            return null;
        end if;
        -- As in recovery.assert_live: who ends it waits for us from here on, and the second read is younger than the
        -- lock. If it ended while we waited, the name is looked up again.
        perform pg_advisory_xact_lock_shared(v_epoch);
        perform from recovery.server as s where s.epoch = v_epoch and s.ended is null and s.pending is null;
        if found then
            return v_epoch;
        end if;
    end loop;
end
$$;

comment on function recovery._live_epoch(text) is
    'The newest live epoch of a server name, null if there is none: who owns work that a session writes for that '
    'server. It does not end before the transaction does (whoever ends it waits, with a bound).';

revoke all on function recovery._live_epoch(text) from public;
