create or replace function recovery.drop_triggers(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_trigger name;
begin
    for v_trigger in
        select t.tgname from pg_trigger as t
        where t.tgrelid = p_watch.relation and t.tgname in ('recovery_10_insert', 'recovery_20_update', 'recovery_25_late', 'recovery_30_delete')
    loop
        execute format('drop trigger %I on %s', v_trigger, p_watch.relation);
    end loop;
    execute format('drop function if exists recovery.watch_%1$s_insert(), recovery.watch_%1$s_update(), recovery.watch_%1$s_delete()', p_watch.id);
end
$$;

comment on function recovery.drop_triggers(recovery.watch) is 'Removes the triggers and trigger functions of a watch.';

revoke all on function recovery.drop_triggers(recovery.watch) from public;
