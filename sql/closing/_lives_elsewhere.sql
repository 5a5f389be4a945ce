create or replace function recovery._lives_elsewhere(p_unit recovery.unit)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return recovery._is_replicated((recovery._watch_of_unit(p_unit)).family)
       and exists (select from recovery._unit_rows(p_unit) as o where not recovery._issued_here(o.server_epoch));
end
$$;

comment on function recovery._lives_elsewhere(recovery.unit) is
    'Whether a unit, with what closing it concerns, has open rows that came by logical replication: '
    'no timeout and no fuse closes it.';

revoke all on function recovery._lives_elsewhere(recovery.unit) from public;
