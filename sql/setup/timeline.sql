create or replace function recovery.timeline()
returns text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end
$$;

comment on function recovery.timeline() is
    'Timeline of the database; another one after each failover. Null on a standby.';

revoke all on function recovery.timeline() from public;
