create or replace function recovery._key_parts(p_watch recovery.watch, p_key text)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when cardinality(p_watch.key_columns) = 1 then array[p_key]
                else (select array_agg(k.part order by k.n)
                    from jsonb_array_elements_text(p_key::jsonb) with ordinality as k (part, n)) end
$$;

comment on function recovery._key_parts(recovery.watch, text) is 'The columns of a primary key as events carry it.';

revoke all on function recovery._key_parts(recovery.watch, text) from public;
