create or replace function recovery._begin_boot(
    p_name          text,
    p_host          text,
    p_pid           integer,
    p_process_start timestamptz,
    p_version       text,
    p_lease         interval,
    p_grace         interval,
    p_policy        text,
    p_lock_wait     interval,
    p_beat          interval,
    p_direct        boolean,
    out o_epoch     bigint,
    out o_token     uuid,
    out o_ended     bigint[]
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_older  bigint;
    v_holder record;
    v_until  timestamptz := recovery._call_deadline();
begin
    perform recovery._check_name(p_name);
    if p_lease is null or p_lease < interval '1 second' or p_lease > interval '1 day' then
        perform recovery._fail('RC010', format('lease %s is not allowed', coalesce(p_lease::text, 'null')),
            'Give a lease from 1 second to 1 day.');
    end if;
    if p_grace is null or p_grace <= interval '0' or p_grace > p_lease then
        perform recovery._fail('RC010', format('suspicion grace %s is not allowed', coalesce(p_grace::text, 'null')),
            format('Give an interval above 0 and up to the lease (%s).', p_lease));
    elsif p_policy is null or p_policy not in ('supersede', 'replace', 'wait', 'refuse') then
        perform recovery._fail('RC010',
            format('boot policy %s is not known', coalesce(quote_literal(p_policy), 'null')),
            'Allowed are supersede, replace, wait and refuse.');
    end if;
    if p_beat is not null then
        perform recovery._check_interval('beat', p_beat, interval '1 millisecond', p_lease);
    end if;
    perform recovery._check_process(p_host, p_pid, p_process_start, false);
    if octet_length(p_version) > 200 or p_version ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('version %s is not allowed', quote_literal(left(p_version, 60))),
            'Give up to 200 bytes without control characters.');
    end if;
    -- One boot of a name at a time; a second one comes after and sees the first.
    perform set_config('lock_timeout', '30s', true);
    begin
        perform pg_advisory_xact_lock(hashtextextended('recovery.boot:' || p_name, 0));
    exception when lock_not_available then
        perform recovery._fail('RC005',
            format('server name "%s" is being booted by another session since 30 s', p_name),
            'See pg_locks for the session that holds it.');
    end;
    if p_policy in ('wait', 'refuse') then
        select s.epoch, s.host, s.pid, s.heartbeat + s.lease as until into v_holder
        from recovery.server as s join recovery.evidence as e on e.epoch = s.epoch
        where s.name = p_name and s.drain_until is null and not e.process_dead and not e.lease_expired
        order by s.epoch desc limit 1;
        if found and p_policy = 'wait' then
            return;
        elsif found then
            perform recovery._fail('RC005',
                format('server name "%s" is held by epoch %s (host %s, pid %s), whose lease holds until %s', p_name,
                v_holder.epoch, coalesce(v_holder.host, 'unknown'), coalesce(v_holder.pid::text, 'unknown'),
                to_char(v_holder.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                'Stop that server, boot with policy supersede or replace, or give another name.');
        end if;
    end if;
    loop
        insert into recovery.server (epoch, name, host, pid, process_start, version, lease, grace, booted, heartbeat,
            beat, keeper)
        values (recovery._next_epoch(), p_name, p_host, p_pid, p_process_start, p_version, p_lease, p_grace,
            recovery._now(), recovery._now(),
            p_beat, p_beat is not null and coalesce(p_direct, true))
        on conflict (epoch) do nothing
        returning epoch, token into o_epoch, o_token;
        exit when found;
    end loop;
    -- From its first moment, so that who boots after us sees us. This session becomes the keeper's.
    if p_beat is not null and coalesce(p_direct, true) then
        perform pg_try_advisory_lock(-o_epoch);
    end if;
    o_ended := '{}';
    for v_older in
        select s.epoch from recovery.server as s
        where s.name = p_name and s.ended is null and s.epoch <> o_epoch
          and coalesce(s.drain_until < recovery._now(), true)
          and (p_policy = 'replace' or not recovery._is_sibling(s, p_host, p_pid, p_process_start))
        order by s.epoch
    loop
        -- All of them or none: a zombie that is left may go on writing. Said in time, since PostgreSQL's own error
        -- would not say what to do.
        perform recovery._check_deadline();
        if recovery._end_epoch(v_older, 'superseded',
            case when isfinite(v_until)
                then least(p_lock_wait, (v_until - clock_timestamp()) / 3 + interval '200 milliseconds')
                else p_lock_wait end)
        then
            o_ended := o_ended || v_older;
        end if;
    end loop;
end
$$;

comment on function recovery._begin_boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean
) is
    'First transaction of a boot: makes the epoch and ends the older ones of the same name, save those that drain or '
    'are shown to be alive (policy replace ends these, too). Policy refuse raises RC005 if a live server holds the '
    'name, wait returns nulls. RC004 bad name, RC010 bad argument.';

revoke all on function recovery._begin_boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean
) from public;
