create or replace function recovery.install_triggers(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_operation text;
    v_function  text;
    v_trigger   text;
    v_old       text := recovery.realias(p_watch.open, 'old');
    v_new       text := recovery.realias(p_watch.open, 'new');
begin
    foreach v_operation in array array['insert', 'update', 'delete'] loop
        v_function := format('recovery.watch_%s_%s', p_watch.id, v_operation);
        v_trigger := format('recovery_%s_%s', case v_operation when 'insert' then 10 when 'update' then 20 else 30 end, v_operation);
        execute format(
            'create or replace function %s() returns trigger language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as %L',
            v_function, recovery.trigger_sql(p_watch, v_operation));
        execute format('comment on function %s() is %L', v_function,
            format('Generated for watch "%s": fence and event of every %s that opens or closes work.', p_watch.name, v_operation));
        execute format('revoke all on function %s() from public', v_function);
        execute format('create trigger %I after %s on %s for each row when (%s) execute function %s()',
            v_trigger, v_operation, p_watch.relation,
            case v_operation
                when 'insert' then format('(%s) is true', v_new)
                when 'delete' then format('(%s) is true', v_old)
                -- Not for the streaming updates of open work, which pay the first test and nothing else (a WHEN
                -- is parsed anew for each statement, so it is short); and not for the bulk closings of this
                -- family, which write their events themselves.
                else format('(((%s) and (%s)) is not true or old.server_epoch is distinct from new.server_epoch) and (current_setting(%L, true) is distinct from %L or pg_trigger_depth() > 0)',
                            v_old, v_new, 'recovery.closing', p_watch.family) end,
            v_function);
        execute format('comment on trigger %I on %s is %L', v_trigger, p_watch.relation,
            'pg-recovery: fence and event of work in flight; made by recovery.attach, removed by recovery.detach.');
        execute format('alter function %s() owner to recovery_owner', v_function);
    end loop;
end
$$;

comment on function recovery.install_triggers(recovery.watch) is 'Makes the three trigger functions and triggers of a watch.';

revoke all on function recovery.install_triggers(recovery.watch) from public;
