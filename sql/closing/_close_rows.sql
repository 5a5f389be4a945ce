create or replace function recovery._close_rows(
    p_family text, p_selection text, p_owner text, p_guard text, p_task recovery.task,
    out o_closed jsonb, out o_failed jsonb
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_row   record;
    v_sql   text;
    v_done  jsonb;
    v_task  recovery.task;
    v_state text;
    v_error text;
begin
    o_closed := '{}';
    o_failed := '{}';
    v_task := p_task;
    v_task.max_rows := 1;
    v_task.bound := null;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family order by w.position, w.name
    loop
        v_sql := recovery._close_sql(p_family, 'row', p_owner, p_guard, true, true, p_task.heir is not null,
            v_watch.name);
        v_task.path := v_watch.path;
        for v_row in
            select recovery._to_texts(f.row -> 0) as parts, f.row ->> 1 as key
            from recovery._run_as_owner(v_watch.runner,
                recovery._rows_of_batch_sql(v_watch, p_selection, p_owner, p_guard), p_task) as f (row)
        loop
            begin
                v_task.keys := v_row.parts;
                v_task.written := clock_timestamp();
                select d.* into v_done from recovery._run_as_owner(v_watch.runner, v_sql, v_task, 'write') as d;
                if v_done <> '{}' then
                    o_closed := o_closed
                        || jsonb_build_object(v_watch.name, coalesce((o_closed ->> v_watch.name)::bigint, 0) + 1);
                    delete from recovery.failure as f where f.watch = v_watch.name and f.key = v_row.key;
                end if;
            exception when others then
                get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
                insert into recovery.failure as f (watch, key, key_parts, server_epoch, next_at, sqlstate, message)
                values (v_watch.name, v_row.key, v_row.parts, p_task.epoch, clock_timestamp() + interval '10 seconds',
                        v_state, v_error)
                on conflict (watch, key) do update
                set attempts = f.attempts + 1, last_at = clock_timestamp(),
                    next_at = clock_timestamp()
                        + least(interval '10 seconds' * (2 ^ least(f.attempts, 10)), interval '1 hour'),
                    server_epoch = excluded.server_epoch, sqlstate = excluded.sqlstate, message = excluded.message;
                o_failed := o_failed
                    || jsonb_build_object(v_watch.name, coalesce((o_failed ->> v_watch.name)::bigint, 0) + 1);
            end;
        end loop;
    end loop;
end
$$;

comment on function recovery._close_rows(text, text, text, text, recovery.task) is
    'Closes a batch row by row after it failed as a whole: the bad rows go to recovery.failure with their error, all '
    'others close.';

revoke all on function recovery._close_rows(text, text, text, text, recovery.task) from public;
