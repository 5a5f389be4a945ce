create or replace function recovery._check_process(p_host text, p_pid bigint, p_start timestamptz, p_whole boolean)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text := recovery._problem_of(p_pid, p_start);
begin
    if octet_length(p_host) > 255 or p_host = '' or p_host ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('host %s is not allowed', quote_literal(left(p_host, 60))),
            'Give 1 to 255 bytes without control characters.');
    elsif v_problem is not null then
        perform recovery._fail('RC010', format('process %s', v_problem),
            'A pid is above 0; its start is a finite time that has passed by the database''s clock (5 minutes are '
            'forgiven).');
    elsif p_whole and (p_host is null or p_pid is null or p_start is null) then
        perform recovery._fail('RC010',
            format('a process needs its host (%s), its pid (%s) and the time at which it started (%s)',
            coalesce(p_host, 'null'), coalesce(p_pid::text, 'null'), coalesce(p_start::text, 'null')),
            'A pid alone may belong to another process tomorrow, or on another host.');
    end if;
end
$$;

comment on function recovery._check_process(text, bigint, timestamptz, boolean) is
    'Refuses what no process can be, where it enters: RC010. p_whole: host, pid and start are all needed.';

revoke all on function recovery._check_process(text, bigint, timestamptz, boolean) from public;
