create or replace function recovery._gave_up_sql(p_expression text, p_max_attempts integer)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Tokens: a string, a quoted name, c.message, another word, any other character.
    select string_agg(case when t.token[1] = 'c.message'
        then format('(c.message || %L)',
            format('; gave up after %s attempt%s', p_max_attempts, case p_max_attempts when 1 then '' else 's' end))
        else t.token[1] end, '' order by t.n)
    from regexp_matches(p_expression, $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|\mc\.message\M|[a-zA-Z0-9_$]+|.)$re$, 'g')
         with ordinality as t (token, n)
$$;

comment on function recovery._gave_up_sql(text, integer) is
    'A compiled close expression whose message says after how many attempts it gave up.';

revoke all on function recovery._gave_up_sql(text, integer) from public;
