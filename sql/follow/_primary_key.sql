create or replace function recovery._primary_key(p_table regclass)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(a.attname::text order by k.n)
    from pg_index as i
    cross join lateral unnest(i.indkey) with ordinality as k (attnum, n)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = p_table and i.indisprimary and k.n <= i.indnkeyatts
$$;

comment on function recovery._primary_key(regclass) is 'The columns of the primary key of a table; null: it has none.';

revoke all on function recovery._primary_key(regclass) from public;
