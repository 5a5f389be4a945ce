create or replace function recovery._compile_expression(
    p_table      regclass,
    p_what       text,
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
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found jsonb;
    v_why   text;
    v_state text;
    v_error text;
begin
    o_plain := true;
    if p_expression is null then
        return;
    end if;
    v_found := recovery._parse_expression(p_table, p_expression, p_type, p_closing);
    o_text := v_found ->> 'text';
    o_type := v_found ->> 'type';
    select not coalesce(bool_or(u.class = 'pg_type'::regclass and u.object >= 16384), false),
           array_agg(distinct u.part) filter (
               where u.class = 'pg_class'::regclass and u.object = p_table and u.part > 0)
    into o_plain, o_columns
    from jsonb_array_elements(v_found -> 'uses') as j (triple)
    cross join lateral (
        select (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (j.triple ->> 2)::integer::smallint
    ) as u (class, object, part);
    if p_stored then
        -- Whoever makes the index and the triggers reads its literals with its own rights.
        select d.what into v_why
        from jsonb_array_elements(v_found -> 'uses') as j (triple)
        cross join lateral recovery._untrusted_object(
            (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (recovery._runner_of(p_table)).privileged) as d (what)
        where d.what is not null limit 1;
    end if;
    if v_why is not null then
        perform recovery._fail('RC006', format('expression %s uses %s', p_expression, v_why),
            'It stands in an index and in triggers, which others than the table''s owner create and execute.');
    elsif regexp_replace(o_text, $re$'(?:[^']|'')*'|"(?:[^"]|"")*"$re$, '', 'g') ~ ';' then
        -- It will stand in statements that a caller executes with its own rights (create index).
        perform recovery._fail('RC006', format('expression %s is more than one', p_expression));
    end if;
exception
    when insufficient_privilege then
        raise;
    when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
        if v_state like 'RC%' then
            raise;
        end if;
        perform recovery._fail_expression(p_table, p_what, v_error);
end
$$;

comment on function recovery._compile_expression(regclass, text, text, text, boolean, boolean) is
    'Compiles an expression over a row r of the table (and the closing c), given for the option p_what: returns it '
    'fully qualified, with its type, the columns of the table that it reads, and whether it uses built-in types only; '
    'nothing for null. p_stored: it goes into an index and triggers, and must use nothing that runs code when read.';

revoke all on function recovery._compile_expression(regclass, text, text, text, boolean, boolean) from public;
