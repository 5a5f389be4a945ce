create or replace function recovery._fail_expression(p_table regclass, p_what text, p_problem text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._fail('RC006', format('the %s expression for %s does not work: %s', p_what, p_table, p_problem),
        'Expressions see one row r of the table (in close also c.reason, c.message, c.at, c.ms, c.epoch) '
        'and are read with search_path pg_catalog: qualify your own types and functions.');
end
$$;

comment on function recovery._fail_expression(regclass, text, text) is
    'Refuses an expression: RC006. p_what: the option that it was given for, and the column.';

revoke all on function recovery._fail_expression(regclass, text, text) from public;
