create or replace function recovery.compile(
    p_table      regclass,
    p_expression text,
    p_type       text,
    p_closing    boolean default false,
    out o_text   text,
    out o_type   text
)
returns record
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_view text;
begin
    -- PostgreSQL itself parses the expression and prints it back, with every name qualified and r. or c.
    -- before every column: what it prints can stand in an index, a trigger or a statement and means the
    -- same in each. The second range entry is what makes it print the prefixes,
    -- the second column what makes an aggregate an error.
    execute format(
        E'create temporary view recovery_compile as select (%s\n)%s as recovery_value, r.tableoid as recovery_row from only %s as r cross join %s',
        p_expression,
        case when p_type is null then '' else '::' || p_type end,
        p_table,
        case when p_closing
            then '(values (null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint)) as c (reason, message, detector, at, ms, epoch)'
            else '(values (1)) as recovery_none (one)' end);
    v_view := pg_get_viewdef('pg_temp.recovery_compile'::regclass);
    o_text := substr(v_view, 9, strpos(v_view, E' AS recovery_value,\n') - 9);
    select format_type(a.atttypid, a.atttypmod) into o_type
    from pg_attribute as a
    where a.attrelid = 'pg_temp.recovery_compile'::regclass and a.attnum = 1;
    drop view pg_temp.recovery_compile;
end
$$;

comment on function recovery.compile(regclass, text, text, boolean) is
    'Parses an expression over a row r of the table (and the closing c) with search_path pg_catalog and returns it fully qualified, with its type.';

revoke all on function recovery.compile(regclass, text, text, boolean) from public;
