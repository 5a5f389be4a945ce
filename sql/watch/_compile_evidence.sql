create or replace function recovery._compile_evidence(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_late  text;
begin
    select c.o_text, c.o_columns into v_watch.owner, v_watch.owner_columns
    from recovery._compile_expression(v_watch.relation, 'owner', v_watch.spec ->> 'owner', 'text') as c;
    select format('column "%s" is generated: PostgreSQL computes it after the trigger that asks for the owner',
        a.attname) into v_late
    from pg_attribute as a
    where a.attrelid = v_watch.relation and a.attgenerated <> '' and a.attnum = any(v_watch.owner_columns);
    if found then
        perform recovery._fail_expression(v_watch.relation, 'owner', v_late);
    elsif v_watch.owner is not null and (v_watch.owner_columns is null or v_watch.owner ~ '\mr\.\*') then
        perform recovery._fail_expression(v_watch.relation, 'owner',
            'it reads no column of the row, or the whole row: name the columns that say whose it is');
    end if;
    v_watch.alive := (
        recovery._compile_expression(v_watch.relation, 'alive', v_watch.spec ->> 'alive', 'boolean')).o_text;
    return v_watch;
end
$$;

comment on function recovery._compile_evidence(recovery.watch) is
    'Step of recovery._compile_watch: whose a row is, and whether its work is alive, by the host''s own columns and '
    'tables.';

revoke all on function recovery._compile_evidence(recovery.watch) from public;
