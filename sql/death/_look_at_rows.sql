create or replace function recovery._look_at_rows()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- Sequential scans are off: the partial index holds the open rows, and an estimate must not turn that into a scan of
-- the table for each look.
declare
    v_watch   recovery.watch;
    v_seen    recovery.look;
    v_task    recovery.task;
    v_found   jsonb;
    v_now     timestamptz;
    v_gap     interval;
    v_half    interval;
    v_because text;
    v_dead    bigint;
    v_most    bigint;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.alive is not null and not recovery._is_replicated(w.family) order by w.id
    loop
        insert into recovery.look (watch) values (v_watch.name) on conflict do nothing;
        select k.* into v_seen from recovery.look as k where k.watch = v_watch.name for update skip locked;
        continue when not found;  -- another sweeper is at it
        v_now := recovery._now();
        v_task.at := v_now;
        begin
            select f.* into v_found
            from recovery._run_as_owner(v_watch.runner, recovery._look_sql(v_watch), v_task) as f;
        exception when others then
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
            continue;  -- and what comes of that is a break in looking
        end;
        -- Who looks seldom and regularly is not asleep; any longer time is one in which nobody could beat.
        v_gap := v_now - v_seen.at;
        v_half := v_watch.alive_lease / 2;
        v_because := case
            when v_seen.at is null then 'first look'
            when v_seen.timeline is distinct from recovery.timeline() then 'the database failed over'
            when v_seen.postmaster is distinct from pg_postmaster_start_time() then 'the database restarted'
            when v_gap > greatest(v_half, v_seen.gap * 1.5)
                then format('no look for %s', date_trunc('second', v_gap))
            when v_gap < interval '0' then 'the clock went back'
        end;
        delete from recovery.lifeless as l
        where l.watch = v_watch.name and not exists (
            select from jsonb_to_recordset(v_found -> 'dead') as d (key text, run text)
            where d.key = l.key and d.run = l.run);
        -- Looks that are further apart than half a lease may have a stall between them that no gap shows: it takes
        -- one more of them.
        insert into recovery.lifeless (watch, key, group_key, run, since)
        select v_watch.name, d.key, d.group_key, d.run,
               case when v_because is null and v_gap > v_half then v_now + v_gap else v_now end
        from jsonb_to_recordset(v_found -> 'dead') as d (key text, group_key text, run text)
        on conflict do nothing;
        v_dead := jsonb_array_length(v_found -> 'dead');
        v_most := (v_dead + (v_found ->> 'alive')::bigint) / 2 + 1;
        update recovery.look as k
        set postmaster = pg_postmaster_start_time(),
            timeline = recovery.timeline(),
            since = case when v_because is null then v_seen.since else v_now end,
            because = coalesce(v_because, v_seen.because),
            at = v_now,
            -- Grows in steps, so that one long sleep is not what is usual from then on.
            gap = case when v_because is null then greatest(v_gap, v_seen.gap * 0.7)
                       when v_gap > interval '0' then least(v_gap, greatest(v_seen.gap, v_half) * 4) end,
            mass_since = case when v_dead >= greatest(v_most, 2) then (
                select l.since from recovery.lifeless as l where l.watch = v_watch.name
                order by l.since offset greatest(v_most, 2) - 1 limit 1) end
        where k.watch = v_watch.name;
    end loop;
end
$$;

comment on function recovery._look_at_rows() is
    'Part of a sweep: notes the open rows for which the alive of their watch is false, forgets those for which it is '
    'not any more, and whether looking had a break (restart, failover, silence of the sweepers) or most rows look '
    'dead at once. recovery.lifeless_state reads it.';

revoke all on function recovery._look_at_rows() from public;
