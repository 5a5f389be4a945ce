create or replace function recovery._bare_sql(p_text text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select translate(regexp_replace(p_text,
        '::(?:"[^"]+"|[a-z_][a-z0-9_]*)(?:\.(?:"[^"]+"|[a-z_][a-z0-9_]*))?'
        '(?: varying| precision| with time zone| without time zone)?(?:\([0-9,]+\))?(?:\[\])*', '', 'g'),
        E'() \n', '')
$$;

comment on function recovery._bare_sql(text) is
    'An expression without what PostgreSQL prints differently for a view and for an index: parentheses, white space, '
    'and where the cast of an array stands.';

revoke all on function recovery._bare_sql(text) from public;
