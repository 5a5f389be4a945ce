create or replace function recovery._compile_row(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_spec  jsonb := p_watch.spec;
begin
    select c.o_text, c.o_columns, c.o_plain into v_watch.open, v_watch.open_columns, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'open', v_spec ->> 'open', 'boolean', p_stored => true) as c;
    select c.o_text, c.o_type, v_watch.open_columns || c.o_columns, v_watch.plain and c.o_plain
    into v_watch.group_by, v_watch.group_type, v_watch.open_columns, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'group', v_spec ->> 'group', null, p_stored => true) as c;
    v_watch.parent := (
        recovery._compile_expression(v_watch.relation, 'parent', v_spec ->> 'parent', v_watch.group_type)).o_text;
    v_watch.only_if := (
        recovery._compile_expression(v_watch.relation, 'only', v_spec ->> 'only', 'boolean')).o_text;
    select c.o_text, v_watch.plain and c.o_plain into v_watch.started, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'started',
        coalesce(v_watch.supervised ->> 'started', v_spec ->> 'started'), 'timestamptz', p_stored => true) as c;
    -- A view column cannot be a record, so the row is compiled inside a test and taken out again.
    v_watch.order_by := substring((
        recovery._compile_expression(
            v_watch.relation, 'order', 'row(' || (v_spec ->> 'order') || ') is null', 'boolean')
    ).o_text from '^\((.*) IS NULL\)$');
    return v_watch;
end
$$;

comment on function recovery._compile_row(recovery.watch) is
    'Step of recovery._compile_watch: what an open row is, its group, its order, when it began.';

revoke all on function recovery._compile_row(recovery.watch) from public;
