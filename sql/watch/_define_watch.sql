create or replace function recovery._define_watch(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_define record;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    for v_define in select d.name, d.statement from recovery._watch_definitions(v_watch) as d loop
        perform recovery._run_as_owner(v_watch.runner, v_define.statement, null, 'make');
    end loop;
    perform recovery._check_definitions(p_table);
end
$$;

comment on function recovery._define_watch(regclass) is
    'Makes the index and the triggers of a watch that its table does not have, as the runner: whoever makes them '
    'reads the literals in them. Whoever may call it, it makes what the watch says.';

revoke all on function recovery._define_watch(regclass) from public;
