create or replace function recovery._has_fuses(p_family text)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from recovery.fuse as f where f.family = p_family)
$$;

comment on function recovery._has_fuses(text) is
    'Whether any fuse burns in a family: only then do its statements look for guards.';

revoke all on function recovery._has_fuses(text) from public;
