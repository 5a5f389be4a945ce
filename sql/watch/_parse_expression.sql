create or replace function recovery._parse_expression(
    p_table regclass, p_expression text, p_type text, p_closing boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL itself parses the expression and prints it back, with every name qualified and r. or c. before every
   column: what it prints can stand in an index, a trigger or a statement and means the same in each. The second range
   entry is what makes it print the prefixes, the second column what makes an aggregate an error. All by the runner:
   reading an expression may execute code already (a literal of a type that holds a domain). The view does not stay. */
declare
    v_closing constant text :=
        '(values (null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint, null::integer))'
        ' as c (reason, message, detector, at, ms, epoch, attempt)';
    v_nothing constant text := '(values (1)) as recovery_none (one)';
    v_task    recovery.task;
    v_found   jsonb;
    v_text    text;
begin
    v_task.key := 'pg_temp.recovery_' || replace(gen_random_uuid()::text, '-', '');
    select v.* into v_found from recovery._run_as_owner((recovery._runner_of(p_table)).id, recovery._render_sql($sql$
        create temporary view {view} as
        select ({expression}
        ){type} as recovery_value, r.tableoid as recovery_row
        from only {relation} as r
        cross join {closing}
        $sql$, jsonb_build_object(
        'view', v_task.key,
        'expression', p_expression,
        'type', coalesce('::' || p_type, ''),
        'relation', p_table,
        'closing', case when p_closing then v_closing else v_nothing end)), v_task, 'compile') as v;
    v_text := v_found ->> 'text';
    return v_found || jsonb_build_object(
        'text', substr(v_text, 9, strpos(v_text, E' AS recovery_value,\n') - 9));
end
$$;

comment on function recovery._parse_expression(regclass, text, text, boolean) is
    'What PostgreSQL makes of an expression over a row r of the table (and the closing c), read with search_path '
    'pg_catalog: its text, its type, and the objects that it uses.';

revoke all on function recovery._parse_expression(regclass, text, text, boolean) from public;
