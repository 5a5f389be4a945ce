create or replace function recovery._next_page(p_page bigint)
returns bigint
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select greatest(p_page + 1, (date_part('epoch', clock_timestamp()) * 1000000)::bigint)
$$;

comment on function recovery._next_page(bigint) is
    'The number of the fetch after that one. By the clock: a failover that has lost the last fetches does not give '
    'their numbers out again, so nobody acknowledges by an old receipt what he has not had.';

revoke all on function recovery._next_page(bigint) from public;
