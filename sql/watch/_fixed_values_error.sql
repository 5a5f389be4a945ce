create or replace function recovery._fixed_values_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_check  record;
    v_task   recovery.task;
    v_values text;
    v_holds  jsonb;
    v_state  text;
    v_error  text;
begin
    v_task.written := clock_timestamp();
    for v_check in
        select c.conname as name, pg_get_expr(c.conbin, c.conrelid) as text, c.conkey as key
        from pg_constraint as c
        where c.conrelid = p_watch.relation and c.contype = 'c' and cardinality(c.conkey) > 0
          and recovery._is_certain_error(p_watch, jsonb_build_object('sqlstate', '23514', 'constraint', c.conname))
        union all
        select null, 'true', array[a.attnum]
        from pg_attribute as a
        where a.attrelid = p_watch.relation and p_watch.close ? a.attname
            and recovery._is_certain_error(p_watch, jsonb_build_object('sqlstate', '23502', 'column', a.attname))
        order by name
    loop
        select string_agg(format('(%s)::%s as %I', p_watch.close ->> a.attname,
            format_type(a.atttypid, a.atttypmod), a.attname), ', ')
        into v_values
        from pg_attribute as a where a.attrelid = p_watch.relation and a.attnum = any(v_check.key);
        begin
            select f.holds into v_holds from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
                select to_jsonb(({check}) is not false)
                from (
                    select {values}
                    from (values ({message!l}, 'superseded', 'rehearsal', ($1).written, 0::bigint, 0::bigint))
                        as c (message, reason, detector, at, ms, epoch)
                    cross join (values (0)) as r ({attempts!i})
                    offset 0) as {table!i}
                $sql$, jsonb_build_object(
                'check', v_check.text,
                'values', v_values,
                'message', recovery._reason_message('superseded'),
                'attempts', coalesce(p_watch.attempts, 'recovery_none'),
                'table', (select c.relname from pg_class as c where c.oid = p_watch.relation))), v_task) as f (holds);
            if v_holds = 'false' then
                return jsonb_build_object('sqlstate', '23514', 'message', format(
                    'new row for relation "%s" violates check constraint "%s"',
                    (select c.relname from pg_class as c where c.oid = p_watch.relation), v_check.name));
            end if;
        exception when query_canceled then
            raise;
        when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
            if v_state like '22%' or v_state like '23%' then
                return jsonb_build_object('sqlstate', v_state, 'message', v_error);
            end if;
        end;
    end loop;
    return null;
end
$$;

comment on function recovery._fixed_values_error(recovery.watch) is
    'As recovery._closing_error, where no row can be had: which CHECK or type refuses the values that a closing sets '
    'whatever the row is.';

revoke all on function recovery._fixed_values_error(recovery.watch) from public;
