create or replace function recovery._observe_servers()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now     timestamptz := recovery._now();
    v_seen    recovery.observation;
    v_because text;
    v_last    timestamptz;
    v_gap     interval;
    v_widest  interval;
    v_live    bigint;
    v_quiet   bigint;
begin
    select o.* into v_seen from recovery.observation as o for update skip locked;
    if not found then
        return;  -- another sweeper is at it
    end if;
    v_last := greatest(v_seen.swept, v_seen.asked);
    v_gap := v_now - v_last;
    v_widest := greatest(v_gap, v_seen.asked_gap);  -- who asked as a stalled database came back hides no stall
    v_because := case
        when v_seen.since is null then 'first sweep'
        when v_seen.timeline is distinct from recovery.timeline() then 'the database failed over'
        when v_seen.postmaster is distinct from pg_postmaster_start_time() then 'the database restarted'
        when v_gap > recovery._patience(v_seen.gap) then format('no sweep for %s', date_trunc('second', v_gap))
        when v_gap < interval '0' then 'the clock went back'
    end;
    -- Whoever holds the row of a server holds up its case, and nobody else's.
    update recovery.server as s set suspected = n.suspected, looked_at = n.looked_at, looked_beat = n.looked_beat
    from (
        select s.epoch,
               case when k.held then null
                   else coalesce(s.suspected, case when k.held is not null then v_now end) end as suspected,
               -- As long as sweeps come oftener than its beats the database has answered all the while.
               case when not l.late then s.looked_at when v_because is null and v_widest <= e.late_since - s.heartbeat
                   then v_last else v_now end as looked_at,
               case when l.late then s.heartbeat else s.looked_beat end as looked_beat
        from recovery.server as s
        join recovery.evidence as e on e.epoch = s.epoch
        left join recovery._held_keeper_locks() as k on k.epoch = s.epoch
        cross join lateral (select e.late_since < v_now and s.looked_beat is distinct from s.heartbeat as late) as l
        where s.ended is null and (l.late or k.held = (s.suspected is not null))
        order by s.epoch for no key update of s skip locked
    ) as n
    where s.epoch = n.epoch;
    -- The same for fuses: late is one that was not extended when a third of its ttl was over. Looks that are further
    -- apart than half its ttl may have a stall between them that no gap shows: it takes one more of them. One that came
    -- late itself begins anew.
    update recovery.fuse as f set looked_at = n.looked_at
    from (
        select f.id, case
            when v_seen.swept is null or v_because is null and v_widest <= d.extended then '-infinity'
            when v_because is null and f.looked_at is null and v_widest > f.ttl / 2 and v_widest <= v_seen.gap * 1.5
                then v_now + v_widest
            else v_now end as looked_at
        from recovery.fuse as f
        cross join lateral (select f.ttl / 3 + least(interval '1 second', f.ttl / 12) as extended) as d
        where f.expires - f.ttl + d.extended < v_now
          and (f.looked_at is null or v_widest > greatest(f.ttl / 2, v_seen.gap * 1.5))
        order by f.id for no key update of f skip locked
    ) as n
    where f.id = n.id;
    select count(*), count(*) filter (where e.quiet) into v_live, v_quiet from recovery.evidence as e;
    update recovery.observation as o
    set postmaster = pg_postmaster_start_time(),
        timeline = recovery.timeline(),
        since = case when v_because is null then v_seen.since else v_now end,
        because = coalesce(v_because, v_seen.because),
        gap = case when v_because is null or v_gap > interval '0' then v_gap end,
        swept = v_now,
        asked_gap = null,
        mass_since = case when v_quiet >= 2 and v_quiet * 2 > v_live then coalesce(v_seen.mass_since, v_now) end;
end
$$;

comment on function recovery._observe_servers() is
    'First step of a sweep: notes who lost its keeper connection or is late with a beat, which fuses are late, and '
    'whether watching had a break (restart, failover, silence of the sweepers) or most servers look dead at once. '
    'recovery.judgement reads it.';

revoke all on function recovery._observe_servers() from public;
