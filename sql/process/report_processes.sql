create or replace function recovery.report_processes(
    p_host text, p_pids integer[], p_starts timestamptz[], p_alive boolean[]
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now  timestamptz := recovery._now();
    v_dead bigint;
begin
    if p_host is null or p_pids is null or p_starts is null or p_alive is null
       or cardinality(p_pids) <> cardinality(p_starts) or cardinality(p_pids) <> cardinality(p_alive)
       or array_position(p_pids, null) is not null or array_position(p_alive, null) is not null then
        perform recovery._fail('RC010',
            'a report of processes needs their host and, for each, a pid, its start and whether it lives',
            'Give three arrays of one length; only a start may be null.');
    end if;
    perform recovery._check_process(p_host, null, null, false);
    perform recovery._check_process(p_host, r.pid, r.start, false) from unnest(p_pids, p_starts) as r (pid, start);
    -- Nobody is waited for: whoever holds a row is about to say something newer, and the next look comes soon. Who was
    -- seen a moment ago is not written again. (A sighting in the future is from before the clock went back.)
    with seen as (
        select r.pid, r.start, bool_or(r.alive) as alive from unnest(p_pids, p_starts, p_alive) as r (pid, start, alive)
            group by r.pid, r.start
    ), servers as (
        select s.epoch, r.alive from recovery.server as s join seen as r on r.pid = s.pid
            and r.start is not distinct from s.process_start
        where s.ended is null and s.host = p_host and s.process_dead is null
          and (not r.alive or (s.process_seen between v_now - interval '1 second' and v_now) is not true)
        order by s.epoch for no key update of s skip locked
    ), noted_servers as (
        update recovery.server as s
        set process_dead = case when not l.alive then v_now end,
            process_seen = case when l.alive then v_now else s.process_seen end
        from servers as l where s.epoch = l.epoch
        returning s.process_dead
    ), fuses as (
        select f.id, r.alive from recovery.fuse as f join seen as r on r.pid = f.pid
            and r.start is not distinct from f.process_start
        where f.host = p_host and f.process_dead is null
          and (not r.alive or (f.process_seen between v_now - greatest(interval '1 second', f.ttl / 4)
              and v_now) is not true)
        order by f.id for no key update of f skip locked
    ), noted_fuses as (
        update recovery.fuse as f
        set process_dead = case when not l.alive then v_now end,
            process_seen = case when l.alive then v_now else f.process_seen end
        from fuses as l where f.id = l.id
        returning f.process_dead
    )
    select count(n.process_dead) into v_dead
        from (select * from noted_servers union all select * from noted_fuses) as n;
    return v_dead;
end
$$;

comment on function recovery.report_processes(text, integer[], timestamptz[], boolean[]) is
    'Evidence from the processes'' own host: each is alive, or dead (gone, or its pid belongs to a process that '
    'started at another time). Returns how many servers and fuses were found dead. RC010 if one cannot be.';

revoke all on function recovery.report_processes(text, integer[], timestamptz[], boolean[]) from public;
