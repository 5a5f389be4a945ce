create or replace function recovery._compile_expression(
    p_table      regclass,
    p_expression text,
    p_type       text,
    p_closing    boolean default false,
    p_stored     boolean default false,
    out o_text    text,
    out o_type    text,
    out o_columns smallint[],
    out o_plain   boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner := recovery._runner_of(p_table);
    v_task   recovery.task;
    v_found  jsonb;
    v_why    text;
begin
    -- PostgreSQL itself parses the expression and prints it back, with every name qualified and r. or c.
    -- before every column: what it prints can stand in an index, a trigger or a statement and means the
    -- same in each. The second range entry is what makes it print the prefixes,
    -- the second column what makes an aggregate an error. All by the runner: reading an expression may
    -- execute code already (a literal of a type that holds a domain). The view does not stay.
    v_task.key := 'pg_temp.recovery_' || replace(gen_random_uuid()::text, '-', '');
    select v.* into v_found from recovery._run_as_owner(v_runner.id, recovery._render_sql($sql$
        create temporary view {view} as
        select ({expression}
        ){type} as recovery_value, r.tableoid as recovery_row
        from only {relation} as r
        cross join {closing}
        $sql$, jsonb_build_object(
        'view', v_task.key,
        'expression', p_expression,
        'type', case when p_type is null then '' else '::' || p_type end,
        'relation', p_table,
        'closing', case when p_closing
            then '(values (null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint))'
                || ' as c (reason, message, detector, at, ms, epoch)'
            else '(values (1)) as recovery_none (one)' end)), v_task, 'compile') as v;
    o_text := v_found ->> 'text';
    o_text := substr(o_text, 9, strpos(o_text, E' AS recovery_value,\n') - 9);
    o_type := v_found ->> 'type';
    o_plain := not exists (
        select from jsonb_array_elements(v_found -> 'uses') as u (pair) where (u.pair ->> 0)::oid = 'pg_type'::regclass
            and (u.pair ->> 1)::oid >= 16384);
    select array_agg(distinct (u.pair ->> 2)::smallint) into o_columns
    from jsonb_array_elements(v_found -> 'uses') as u (pair)
    where (u.pair ->> 0)::oid = 'pg_class'::regclass and (u.pair ->> 1)::oid = p_table and (u.pair ->> 2)::integer > 0;
    if p_stored then
        -- Whoever makes the index and the triggers reads its literals with its own rights.
        select d.what into v_why
        from jsonb_array_elements(v_found -> 'uses') as u (pair)
        cross join lateral recovery._untrusted_object((u.pair ->> 0)::oid, (u.pair ->> 1)::oid,
            v_runner.privileged) as d (what)
        where d.what is not null limit 1;
    end if;
    if v_why is not null then
        perform recovery._fail('RC006', format('expression %s uses %s', p_expression, v_why),
            'It stands in an index and in triggers, which others than the table''s owner create and execute.');
    end if;
    o_text := v_found ->> 'text';
    o_text := substr(o_text, 9, strpos(o_text, E' AS recovery_value,\n') - 9);
    o_type := v_found ->> 'type';
    -- It will stand in statements that a caller executes with its own rights (create index): one expression, and no
    -- more.
    if regexp_replace(o_text, $re$'(?:[^']|'')*'|"(?:[^"]|"")*"$re$, '', 'g') ~ ';' then
        perform recovery._fail('RC006', format('expression %s is more than one', p_expression));
    end if;
end
$$;

comment on function recovery._compile_expression(regclass, text, text, boolean, boolean) is
    'Parses an expression over a row r of the table (and the closing c) with search_path pg_catalog and returns it '
    'fully qualified, with its type, the columns of the table that it reads, and whether it uses built-in types only. '
    'p_stored: it goes into an index and triggers, and must use nothing that runs code when it is read.';

revoke all on function recovery._compile_expression(regclass, text, text, boolean, boolean) from public;
