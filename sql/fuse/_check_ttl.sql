create or replace function recovery._check_ttl(p_ttl interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_ttl is null or p_ttl <= interval '0' or p_ttl > interval '7 days' then
        perform recovery._fail('RC010', format('fuse ttl %s is not allowed', coalesce(p_ttl::text, 'null')),
            'Give an interval up to 7 days; extend the fuse as long as the work runs.');
    end if;
end
$$;

comment on function recovery._check_ttl(interval) is 'Refuses a time to live that cannot work: RC010.';

revoke all on function recovery._check_ttl(interval) from public;
