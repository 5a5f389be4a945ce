create or replace function recovery._now()
returns timestamptz
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select clock_timestamp() + c.shift from recovery.clock as c
$$;

comment on function recovery._now() is
    'The clock by which leases, fuses and timeouts are judged: the database clock, moved by recovery.clock in tests.';

revoke all on function recovery._now() from public;
