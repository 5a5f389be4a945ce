create or replace function recovery._key_text(p_columns text[], p_alias text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when cardinality(p_columns) = 1
        then format('(%s.%I)::text', p_alias, p_columns[1])
        else (select format('jsonb_build_array(%s)::text',
            string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.n))
              from unnest(p_columns) with ordinality as c (name, n)) end
$$;

comment on function recovery._key_text(text[], text) is
    'SQL text that prints the primary key of a row as events carry it.';

revoke all on function recovery._key_text(text[], text) from public;
