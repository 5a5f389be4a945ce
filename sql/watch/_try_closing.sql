create or replace function recovery._try_closing(
    p_watch recovery.watch, p_key text[], p_epoch bigint, out o_done boolean, out o_error jsonb
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_task   recovery.task;
    v_count  jsonb;
    v_state  text;
    v_error  text;
    v_hint   text;
    v_name   text;
    v_column text;
    v_type   text;
begin
    o_done := false;
    v_task.keys := p_key;
    v_task.epochs := array[p_epoch];
    v_task.reason := 'superseded';
    v_task.message := recovery._reason_message('superseded');
    v_task.detector := 'rehearsal';
    v_task.at := recovery._now();
    v_task.written := clock_timestamp();
    v_task.path := p_watch.path;
    begin
        -- The update alone: events are not the host's, and would use up their ids.
        select c.* into v_count from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with {update}
            n as (select count(*) as rows from u1)
            select to_jsonb(n.rows) from n
            $sql$, jsonb_build_object('update', recovery._close_update_sql(
            p_watch, 1, recovery._close_image(p_watch, false), 'row', 'any', 'ignore', true, false, false))),
            v_task, 'write') as c;
        o_done := v_count <> '0';  -- else somebody has it locked
        perform recovery._fail('RX000', 'taken back');
    exception when sqlstate 'RX000' then
        null;
    when lock_not_available or deadlock_detected then
        null;
    when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint,
            v_name = constraint_name, v_column = column_name, v_type = pg_datatype_name;
        o_error := jsonb_build_object('sqlstate', v_state, 'message', v_error, 'hint', nullif(v_hint, ''),
            'constraint', nullif(v_name, ''), 'column', nullif(v_column, ''), 'type', nullif(v_type, ''));
    end;
end
$$;

comment on function recovery._try_closing(recovery.watch, text[], bigint) is
    'Closes one row and takes it back: whether that went, and the error if not; neither if somebody holds the row.';

revoke all on function recovery._try_closing(recovery.watch, text[], bigint) from public;
