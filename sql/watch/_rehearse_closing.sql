create or replace function recovery._rehearse_closing(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
/* A closing and, where work is set back to its queue, a requeue: really executed, on a row of the host, under its
   constraints and triggers, and taken back. So what would fail each time is known now, and not when a server has died.
   Open rows are tried first. Where there is none a row is made to look open; what only that row can't do says nothing,
   so then only errors count that no row could avoid. */
declare
    v_watch   recovery.watch;
    v_variant recovery.watch;
    v_step    text;
    v_error   jsonb;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    foreach v_step in array case when v_watch.attempts is null then array['close'] else array['close', 'requeue'] end
    loop
        v_variant := v_watch;
        if v_watch.attempts is not null then
            -- Whatever the row has counted: this is the last attempt, or there are others.
            v_variant.max_attempts := case v_step when 'close' then 1 else 2147483647 end;
            v_variant := recovery._compile_closing(v_variant);
        end if;
        begin
            -- As a sweep has it, and bounded.
            perform set_config('lock_timeout', '100ms', true);
            if current_setting('recovery.server_epoch', true) <> '' then  -- a setting that was never made stays so
                perform set_config('recovery.server_epoch', '', true);
            end if;
            update recovery.watch as w
            set attached = coalesce(w.attached, clock_timestamp()), close = v_variant.close,
                max_attempts = v_variant.max_attempts
            where w.id = v_watch.id returning w.* into v_variant;
            v_error := recovery._closing_error(v_variant);
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            null;
        end;
        if v_error is not null then
            perform recovery._fail('RC006',
                format('each %s of a row of %s would fail: %s (SQLSTATE %s)', v_step, p_table, v_error ->> 'message',
                    v_error ->> 'sqlstate'),
                coalesce(v_error ->> 'hint',
                    'It was tried, and taken back. Give values that the table accepts, or change what refuses them.'));
        end if;
    end loop;
end
$$;

comment on function recovery._rehearse_closing(regclass) is
    'Executes a closing and a requeue of a watch on a real or made-up row, as its runner, and takes it back. RC006 '
    'with the host''s own error if that would fail each time.';

revoke all on function recovery._rehearse_closing(regclass) from public;
