create or replace function recovery._rehearse_watch(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_role  text;
    v_step  text := 'statement';
    v_state text;
    v_error text;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    select r.role into v_role from recovery.runner as r where r.id = v_watch.runner;
    if exists (
        select from recovery._run_as_owner(v_watch.runner, format(
            'select pg_catalog.to_jsonb(pg_catalog.row_security_active(%L::pg_catalog.regclass))', p_table)) as r
        where r = 'true'
    ) then
        perform recovery._fail('RC006', format('row security of %s would hide rows from %s', p_table, v_role),
            format('Orphans would stay open: alter role %I bypassrls.', v_role));
    end if;
    -- The real statements, planned by the role that executes them.
    perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
        v_watch.family, case when v_watch.group_by is null then 'range' else 'groups' end), v_task, 'plan');
    perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
        v_watch.family, 'row', 'any', 'without', true, true, false, v_watch.name), v_task, 'plan');
    if v_watch.owner is not null then
        v_step := 'owner';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
            v_watch.family, 'range', 'named', 'ignore', true, false, true, v_watch.name), v_task, 'plan');
    end if;
    if v_watch.alive is not null then
        v_step := 'alive';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._look_sql(v_watch), v_task,
            'plan');
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
            v_watch.family, 'row', 'lifeless', 'without', true, true, false, v_watch.name), v_task, 'plan');
    end if;
    if v_watch.supervised is not null then
        v_step := 'watchdog';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._due_sql(v_watch), v_task,
            'plan');
    end if;
exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
    if v_state in ('42501', '55P03') or v_state like 'RC%' then
        raise;
    end if;
    perform recovery._fail('RC006', format('%s cannot be watched (%s): %s', p_table, v_step, v_error),
        'Expressions must run with the rights of the table''s owner.');
end
$$;

comment on function recovery._rehearse_watch(regclass) is
    'Plans the statements of a watch as its runner. RC006 they cannot work, 42501 the owner lacks a right.';

revoke all on function recovery._rehearse_watch(regclass) from public;
