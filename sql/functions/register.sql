create or replace function recovery.register(
    p_name          text,
    p_host          text,
    p_pid           integer,
    p_process_start timestamptz,
    p_version       text,
    p_lease         interval,
    p_lock_wait     interval,
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
    v_older bigint;
begin
    perform recovery.check_name(p_name);
    if p_lease is null or p_lease < interval '1 second' or p_lease > interval '1 day' then
        perform recovery.fail('RC010', format('lease %s is not allowed', coalesce(p_lease::text, 'null')),
            'Give a lease from 1 second to 1 day.');
    end if;
    -- One boot of a name at a time; a second one comes after and supersedes the first.
    perform set_config('lock_timeout', '30s', true);
    begin
        perform pg_advisory_xact_lock(hashtextextended('recovery.boot:' || p_name, 0));
    exception when lock_not_available then
        perform recovery.fail('RC005', format('server name "%s" is being booted by another session since 30 s', p_name),
            'See pg_locks for the session that holds it.');
    end;
    loop
        insert into recovery.server (epoch, name, host, pid, process_start, version, lease)
        select greatest((date_part('epoch', clock_timestamp()) * 1000000)::bigint, max(s.epoch) + 1),
               p_name, p_host, p_pid, p_process_start, p_version, p_lease
        from recovery.server as s
        on conflict (epoch) do nothing
        returning epoch, token into o_epoch, o_token;
        exit when found;
    end loop;
    o_ended := '{}';
    for v_older in
        select s.epoch from recovery.server as s
        where s.name = p_name and s.ended is null and s.epoch <> o_epoch
        order by s.epoch
    loop
        if recovery.finish(v_older, 'superseded', p_lock_wait) then
            o_ended := o_ended || v_older;
        end if;
    end loop;
end
$$;

comment on function recovery.register(text, text, integer, timestamptz, text, interval, interval) is
    'First transaction of a boot: makes the epoch and ends the older ones of the same name. RC004 bad name, RC010 bad lease, RC005 another boot hangs.';

revoke all on function recovery.register(text, text, integer, timestamptz, text, interval, interval) from public;
