create or replace function recovery.detach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* With the rights of its caller. What it executes is built from the catalog; the only thing taken from
   recovery.watch is a number and a boolean. */
declare
    v_watch   recovery.watch;
    v_runner  recovery.runner;
    v_schema  regnamespace;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table),
            'See recovery.watch for the tables that are.');
    end if;
    select c.relnamespace into v_schema from pg_class as c where c.oid = p_table;
    if v_schema is not null then
        perform recovery._drop_triggers(p_table);
        execute format('drop index if exists %s.recovery_open_%s', v_schema, v_watch.id);
        execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
        if v_watch.own_column then
            execute format('alter table %s drop column if exists server_epoch', p_table);
            perform recovery._clean_partitions(p_table);
        end if;
        v_runner := recovery._runner_of(p_table);
        if v_runner.privileged then
            perform recovery._reclaim_table(p_table, v_runner.role);
        end if;
    end if;
    delete from recovery.watch as w where w.relation = p_table;
end
$$;

comment on function recovery.detach(regclass) is
    'Stops watching a table and restores it as it was before recovery.attach. Its events stay. RC008 if it is not '
    'watched, 42501 if the caller does not own it.';

revoke all on function recovery.detach(regclass) from public;
