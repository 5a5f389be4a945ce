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
   recovery.watch is a number and a boolean. All that it waits for is the lock; who can't wait for it long, or whose
   table is large, executes recovery.detach_steps one by one. */
declare
    v_watch   recovery.watch;
    v_runner  recovery.runner;
    v_index   text;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table),
            'See recovery.watch for the tables that are.');
    end if;
    if exists (select from pg_class as c where c.oid = p_table) then
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
        for v_index in select i.name from recovery._watch_indexes(v_watch) as i loop
            execute 'drop index ' || v_index;
        end loop;
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
    perform set_config('recovery.attaching', '', true);
end
$$;

comment on function recovery.detach(regclass) is
    'Stops watching a table and restores it as it was before recovery.attach. Its events stay. RC008 if it is not '
    'watched, 42501 if the caller does not own it.';

revoke all on function recovery.detach(regclass) from public;
