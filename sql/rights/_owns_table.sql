create or replace function recovery._owns_table(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = p_table), false)
$$;

comment on function recovery._owns_table(regclass) is
    'Whether the caller has the rights of a table''s owner: row security of recovery.watch asks.';

revoke all on function recovery._owns_table(regclass) from public;
