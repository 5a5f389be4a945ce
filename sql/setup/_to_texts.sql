create or replace function recovery._to_texts(p_array jsonb)
returns text[]
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(p_array) = 'array'
        then array(select e.text from jsonb_array_elements_text(p_array) with ordinality as e (text, n)
            order by e.n) end
$$;

comment on function recovery._to_texts(jsonb) is 'A json array as text[]; null if it is none.';

revoke all on function recovery._to_texts(jsonb) from public;
