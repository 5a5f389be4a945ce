create or replace function recovery._fixed_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Only literals and what the closing itself brings; and no trigger of the host that may change them.
    select 'jsonb_build_object(' || string_agg(format('%L, %s', s.key, s.value), ', ' order by s.key) || ')'
    from jsonb_each_text(p_watch.close) as s
    where not recovery._has_rewriting_trigger(p_watch.relation)
    having bool_and(s.value ~ $re$^\(?('([^']|'')*'|c\.[a-z]+|-?[0-9.]+|N[U]LL|true|false)\)?(::[a-z_ "().0-9,]+)?$re$)
$$;

comment on function recovery._fixed_sql(recovery.watch) is
    'SQL text for the new values of a closing where they are the same for each row, as {column: value}; else null.';

revoke all on function recovery._fixed_sql(recovery.watch) from public;
