create or replace function recovery._end_epoch(
    p_epoch bigint, p_reason text, p_lock_wait interval, p_dead_only boolean default false
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Writers hold their epoch's lock shared until they commit: with the exclusive lock in hand all they
    -- opened is visible to the statements that follow, and whoever comes later reads that it ended. A
    -- transaction that keeps us waiting longer than the bound is left to the sweep.
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    begin
        perform pg_advisory_xact_lock(p_epoch);
    exception when lock_not_available or deadlock_detected then
        null;
    end;
    begin
        -- A heartbeat that is just committing is waited for, and the judgement is read after it.
        perform from recovery.server as s where s.epoch = p_epoch and s.ended is null for no key update;
        if p_dead_only and not exists (select from recovery.judgement as v where v.epoch = p_epoch and v.dead) then
            return false;
        end if;
        update recovery.server as s set pending = coalesce(s.pending, p_reason)
        where s.epoch = p_epoch and s.ended is null;
    exception when lock_not_available or deadlock_detected then
        return false;
    end;
    begin
        update recovery.server as s
        set ended = clock_timestamp(), reason = coalesce(s.pending, p_reason)
        where s.epoch = p_epoch and s.ended is null;
        return found;
    exception when lock_not_available or deadlock_detected then
        -- Somebody holds the row's key, as a foreign key does: it may not write any more, and the next sweep tries
        -- again.
        return false;
    end;
end
$$;

comment on function recovery._end_epoch(bigint, text, interval, boolean) is
    'Ends one epoch under its exclusive lock, waiting at most p_lock_wait for transactions in flight. With '
    'p_dead_only only if recovery.judgement still holds it for dead, read under the lock. True if it ended now.';

revoke all on function recovery._end_epoch(bigint, text, interval, boolean) from public;
