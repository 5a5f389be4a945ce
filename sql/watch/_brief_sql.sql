create or replace function recovery._brief_sql(p_statement text, p_lock_timeout interval)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format('select recovery._run_briefly(%L, %L)', p_statement, p_lock_timeout)
$$;

comment on function recovery._brief_sql(text, interval) is
    'The statement that executes another one with a bounded wait for each lock: see recovery._run_briefly.';

revoke all on function recovery._brief_sql(text, interval) from public;
