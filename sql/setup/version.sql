create or replace function recovery.version()
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select '0.1.0'::text
$$;

comment on function recovery.version() is 'Version of this schema; clients compare it with the one they were made for.';

revoke all on function recovery.version() from public;
