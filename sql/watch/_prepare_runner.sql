create or replace function recovery._prepare_runner(p_table regclass)
returns recovery.runner
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner  regrole := (select c.relowner from pg_class as c where c.oid = p_table);
    v_runner recovery.runner := recovery._runner_of(p_table);
begin
    if (v_runner.id is null or recovery._lacks_runner(v_runner)) and pg_has_role('recovery_owner', 'usage') then
        begin
            perform recovery._make_runner(v_owner);
        exception when insufficient_privilege then
            null;  -- the next lines say what to do
        end;
        v_runner := recovery._runner_of(p_table);
    end if;
    if v_runner.id is null or recovery._lacks_runner(v_runner) then
        perform recovery._fail('42501', format(case when v_runner.id is null then '%s is not permitted to attach tables'
            else 'the runner of %s is not what recovery.permit made' end, v_owner),
            format('A DBA runs this once: select recovery.permit(%L);', v_owner));
    elsif v_runner.privileged then
        perform recovery._lend_table(p_table, v_runner.role);
    end if;
    return v_runner;
end
$$;

comment on function recovery._prepare_runner(regclass) is
    'The runner of a table''s owner, made or repaired where the caller may, with the grants that it needs of the '
    'table. '
    '42501 the owner was not permitted to attach tables.';

revoke all on function recovery._prepare_runner(regclass) from public;
