create or replace function recovery._finish_attach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    -- While nobody waits for it.
    perform recovery._prepare_runner(p_table);
    perform recovery._yield_triggers(w) from recovery.watch as w where w.relation = p_table;
    update recovery.watch as w set path = w.path, attached = coalesce(w.attached, clock_timestamp())
    where w.relation = p_table returning w.* into strict v_watch;
    perform recovery._rehearse_watch(p_table);
    perform recovery._rehearse_closing(p_table);
    if exists (
        select from pg_trigger as t
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and not t.tgisinternal)
    then
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
    else
        perform recovery._lock_table(p_table, 'share row exclusive');
    end if;
    perform recovery._make_definitions(v_watch);
    perform recovery._comment_triggers(p_table);
end
$$;

comment on function recovery._finish_attach(regclass) is
    'Last step of recovery.attach_steps: rehearses a closing, makes the triggers in a short transaction, and puts the '
    'watch in force. RC006 it cannot work.';

revoke all on function recovery._finish_attach(regclass) from public;
