create or replace function recovery.check_wait(p_wait interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_wait is null or p_wait < interval '0' or p_wait > interval '1 day' then
        perform recovery.fail('RC010', format('wait %s is not allowed', coalesce(p_wait::text, 'null')), 'Give an interval from 0 to 1 day.');
    end if;
end
$$;

comment on function recovery.check_wait(interval) is 'Refuses a time to wait for a name that cannot work: RC010.';

revoke all on function recovery.check_wait(interval) from public;
