create or replace function recovery._examine_servers()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with live as materialized (
        select s.*, format('%s (epoch %s)', s.name, s.epoch) as said from recovery.server as s where s.ended is null
    ), sessions as materialized (
        select distinct r.oid, r.rolname, r.rolsuper, split_part(a.application_name, ':', 2) as does
        from pg_stat_activity as a join pg_roles as r on r.oid = a.usesysid
        where a.datname = current_database() and a.application_name ~ '^recovery:(keeper|guard|boot|listener)(:|#|$)'
    )
    select 'death-held', 'warning', 'server', s.said,
        format('looks dead, and is not declared dead%s: %s', ' before ' || date_trunc('second', j.held_until),
            j.held_because), format('recovery evict %s', s.epoch), null::text[]
    from live as s join recovery.judgement as j on j.epoch = s.epoch where j.held_because is not null
    union all
    select 'end-pending', 'warning', 'server', s.said,
        format('is to end (%s), but a transaction of its own is open%s', s.pending, l.held),
        format('recovery evict %s --terminate-backends', s.epoch), null
    from live as s
    cross join lateral (
        select ' in ' || string_agg(distinct coalesce('backend ' || l.pid, 'a prepared transaction'), ', ') as held
        from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = s.epoch) as l
    where s.pending is not null
    union all
    select 'versions-differ', 'note', 'database', current_database()::text,
        format('live servers have different versions: %s',
            string_agg(format('%s %s', v.name, v.versions), ', ' order by v.name)), 'finish the roll-out', null
    from (
        select s.name, string_agg(distinct s.version, ' and ' order by s.version) as versions from live as s
        where s.version is not null group by s.name having count(distinct s.version) > 1) as v
    having count(*) > 0
    union all
    select 'server-pooled', 'note', 'server', s.said,
        'its keeper goes through a pooler: its death is found by the lease alone',
        'give it a connection that goes to PostgreSQL itself (direct=...)', null
    from live as s where not s.keeper and s.beat is not null
    union all
    select 'clock-skew', 'warning', 'server', s.said,
        format('its process started %s after it booted: the clock of %s is ahead of the database''s',
            date_trunc('second', s.process_start - s.booted), coalesce(split_part(s.host, '#', 1), 'its host')),
        'set the clocks (NTP)', null
    from live as s where isfinite(s.process_start) and s.process_start > s.booted + interval '2 seconds'
    union all
    select 'clock-back', 'warning', 'server', s.said,
        format('its last heartbeat lies %s in the future: the clock of the database went back',
            date_trunc('second', s.heartbeat - recovery._now())), 'set the clock of the database (NTP)', null
    from live as s where s.heartbeat > recovery._now() + interval '2 seconds'
    union all
    select 'server-lacks-role', 'error', 'role', s.rolname,
        case s.does when 'listener' then 'listens, and may not read events any more'
             else 'runs a server, and may not any more: its heartbeats fail' end,
        format('grant %I to %I;', case s.does when 'listener' then 'recovery_listener' else 'recovery_server' end,
            s.rolname), null
    from sessions as s
    where not pg_has_role(s.oid, to_regrole('recovery_server'), 'usage')
      and not (s.does = 'listener' and pg_has_role(s.oid, to_regrole('recovery_listener'), 'usage'))
    union all
    select distinct 'server-superuser',
        case when current_setting('server_version_num')::integer < 180000 then 'warning' else 'note' end, 'role',
        s.rolname, 'a server logs in as a superuser: it needs no more than recovery_server',
        'give it a login of its own, a member of recovery_server', null::text[]
    from sessions as s where s.rolsuper
$$;

comment on function recovery._examine_servers() is
    'What is wrong with servers that have not ended, and with their logins. For recovery.examine().';

revoke all on function recovery._examine_servers() from public;
