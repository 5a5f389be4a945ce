create or replace function recovery._realias_sql(p_expression text, p_alias text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Tokens: a string, a quoted name, what stands in a schema r (types, operators, collations, functions), the alias,
    -- another word, any other character.
    select string_agg(case when t.token[1] = 'r.' then p_alias || '.' else t.token[1] end, '' order by t.n)
    from regexp_matches(
        p_expression,
        $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|(?:::|OPERATOR\(|COLLATE )r\.$re$
            || $re$|\mr\.(?:[a-zA-Z0-9_$]+|"(?:[^"]|"")*")\(|\mr\.|[a-zA-Z0-9_$]+|.)$re$,
        'g') with ordinality as t (token, n)
$$;

comment on function recovery._realias_sql(text, text) is
    'A compiled expression with another alias (new, old) in place of r; strings and quoted names stay.';

revoke all on function recovery._realias_sql(text, text) from public;
