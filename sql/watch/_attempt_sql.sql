create or replace function recovery._attempt_sql(p_expression text, p_attempt text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Of the closing, but of each row its own. Tokens: a string, a quoted name, c.attempt, another word, any other
    -- character.
    select string_agg(case when t.token[1] = 'c.attempt' then p_attempt else t.token[1] end, '' order by t.n)
    from regexp_matches(p_expression, $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|\mc\.attempt\M|[a-zA-Z0-9_$]+|.)$re$, 'g')
         with ordinality as t (token, n)
$$;

comment on function recovery._attempt_sql(text, text) is
    'A compiled expression with the number of the attempt in place of c.attempt.';

revoke all on function recovery._attempt_sql(text, text) from public;
