create or replace function recovery._held_keeper_locks()
returns table (epoch bigint, held boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.epoch, s.epoch in (select l.epoch from recovery.keeper_lock as l)
    from recovery.server as s
    where s.ended is null and s.keeper
$$;

comment on function recovery._held_keeper_locks() is
    'For each server with a keeper, whether its session advisory lock (-epoch) is held.';

revoke all on function recovery._held_keeper_locks() from public;
