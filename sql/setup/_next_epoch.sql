create or replace function recovery._next_epoch()
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- The first number from there on that ends as this database's do.
    select n.least + (recovery._database_number() - n.least % 1000 + 1000) % 1000
    from (select greatest((date_part('epoch', clock_timestamp()) * 1000000)::bigint, max(s.epoch) + 1) as least
        from recovery.server as s) as n
$$;

comment on function recovery._next_epoch() is
    'The next epoch: above all others, at least the microsecond clock (so that a failover cannot make it issue one '
    'again), ending with recovery._database_number().';

revoke all on function recovery._next_epoch() from public;
