create or replace function recovery._heir_of(p_epoch bigint)
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select h.epoch
    from recovery.server as s
    join recovery.server as h on h.epoch = s.heir and h.ended is null and h.pending is null
    where s.epoch = p_epoch
$$;

comment on function recovery._heir_of(bigint) is
    'The live epoch to which an ended one left its work, else null: then its rows are orphans.';

revoke all on function recovery._heir_of(bigint) from public;
