create or replace function recovery._check_interval(p_what text, p_value interval, p_least interval, p_most interval)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set intervalstyle = postgres
as $$
begin
    if p_value is null or p_value < p_least or p_value > p_most then
        perform recovery._fail('RC010', format('%s %s is not allowed', p_what, coalesce(p_value::text, 'null')),
            format('Give an interval from %s to %s.', p_least, p_most));
    end if;
end
$$;

comment on function recovery._check_interval(text, interval, interval, interval) is
    'Refuses an interval that is null or out of range, naming what it is for: RC010.';

revoke all on function recovery._check_interval(text, interval, interval, interval) from public;
