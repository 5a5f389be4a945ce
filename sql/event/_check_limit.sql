create or replace function recovery._check_limit(p_limit integer)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_limit is null or p_limit not between 1 and 100000 then
        perform recovery._fail('RC010', format('limit %s is not allowed', coalesce(p_limit::text, 'null')),
            'Give a number of events from 1 to 100000.');
    end if;
end
$$;

comment on function recovery._check_limit(integer) is 'Refuses a number of events that cannot work: RC010.';

revoke all on function recovery._check_limit(integer) from public;
