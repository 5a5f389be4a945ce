create or replace function recovery.kept()
returns table (epoch bigint, held boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.epoch, exists (
        select from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
          and l.database = (select d.oid from pg_database as d where d.datname = current_database())
          and l.classid::bigint = ((-s.epoch) >> 32) & 4294967295 and l.objid::bigint = (-s.epoch) & 4294967295)
    from recovery.server as s
    where s.ended is null and s.keeper
$$;

comment on function recovery.kept() is 'For each server with a keeper, whether its session advisory lock (-epoch) is held.';

revoke all on function recovery.kept() from public;
