create or replace function recovery._find_index(p_table regclass, p_name text)
returns regclass
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- In the catalog: to name it one would need a right on its schema.
    select i.oid::regclass from pg_class as t join pg_class as i on i.relnamespace = t.relnamespace
    where t.oid = p_table and i.relname = p_name
$$;

comment on function recovery._find_index(regclass, text) is 'The relation of that name beside a table; null: none.';

revoke all on function recovery._find_index(regclass, text) from public;
