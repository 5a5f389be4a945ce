create or replace function recovery.repair(p_table regclass)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* Attaches once more with what is stored: nothing of the watch changes, and no row. With the rights of its caller, who
   must have those of the table's owner. What is well is left alone, so that it takes no lock for it. */
declare
    v_watch recovery.watch;
    v_wrong record;
    v_kind  text;
    v_index regclass;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')),
            'See recovery.watch for the tables that are.');
    end if;
    perform recovery._check_owner(p_table);
    perform recovery._check_table(p_table);
    perform recovery._prepare_runner(p_table);
    if not exists (
        select from pg_attribute as a
        where a.attrelid = p_table and a.attname = 'server_epoch' and a.attnum > 0 and not a.attisdropped)
    then
        perform recovery._add_owner_column(v_watch);
    end if;
    for v_wrong in
        select t.tgname, t.tgrelid::regclass as relation, t.tgparentid = 0
            and (p.pronamespace <> 'recovery'::regnamespace
                or p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', v_watch.id)) as foreign
        from (select p_table::oid as oid union select l.relid from pg_partition_tree(p_table) as l) as l
        join pg_trigger as t on t.tgrelid = l.oid join pg_proc as p on p.oid = t.tgfoid
        where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
          and (t.tgenabled <> 'O' or p.pronamespace <> 'recovery'::regnamespace
               or p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', v_watch.id))
    loop
        execute format(case when v_wrong.foreign then 'drop trigger %2$I on %1$s'
            else 'alter table %1$s enable trigger %2$I' end, v_wrong.relation, v_wrong.tgname);
    end loop;
    foreach v_kind in array array['open', 'started'] loop
        -- In a transaction: writers wait while it is built. recovery doctor says what does it concurrently.
        select c.oid::regclass into v_index
        from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace
            and c.relname = format('recovery_%s_%s', v_kind, v_watch.id)
        join pg_index as i on i.indexrelid = c.oid and i.indrelid = t.oid
        where t.oid = p_table;
        if found and (recovery._index_problem(v_watch, v_kind)).problem is not null then
            execute format('drop index %s', v_index);
        end if;
    end loop;
    if recovery._is_stale(p_table) then
        perform recovery._drop_triggers(p_table);
    end if;
    -- Its trigger makes the functions anew.
    update recovery.watch as w set path = w.path where w.relation = p_table returning w.* into v_watch;
    perform recovery._complete_watch(v_watch);
    return v_watch.name;
end
$$;

comment on function recovery.repair(regclass) is
    'Puts right what belongs to a watch, as recovery.attach made it: its column, index, triggers, their functions, the '
    'rights of its runner. Changes no row, and nothing of the watch. Returns its name. RC006 it cannot work, RC008 '
    'not watched, 42501 the caller does not own the table.';

revoke all on function recovery.repair(regclass) from public;
