create or replace function recovery._is_elsewhere(p_family text, p_epoch bigint)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._is_replicated(p_family) and not recovery._issued_here(p_epoch)
$$;

comment on function recovery._is_elsewhere(text, bigint) is
    'Whether rows of an owner (null: of nobody) came by logical replication, as far as anybody can tell: who does '
    'that work is known at the publisher only, so no boot, sweep or timeout touches them here.';

revoke all on function recovery._is_elsewhere(text, bigint) from public;
