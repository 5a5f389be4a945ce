create or replace function recovery._replace_indexes(p_before recovery.watch, p_after recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_after.relation);
    v_kind   text;
    v_name   text;
    v_new    text;
    v_is_new boolean;
begin
    perform recovery._repair_indexes(p_after);
    foreach v_kind in array array['open', 'started'] loop
        v_name := format('recovery_%s_%s', v_kind, p_after.id);
        v_new := format('%s.%s_new', v_schema, v_name);
        v_is_new := recovery._find_index(p_after.relation, v_name || '_new') is not null;
        -- recovery.alter_steps has made it beside the one that was in use.
        if v_is_new and recovery._find_index(p_after.relation, v_name) is null
            and recovery._index_sql(p_before, v_kind) is distinct from recovery._index_sql(p_after, v_kind)
            and (recovery._index_problem(p_after, v_kind, '_new')).problem is null
        then
            execute format('alter index %s rename to %I', v_new, v_name);
        elsif v_is_new then
            execute 'drop index ' || v_new;
        end if;
    end loop;
end
$$;

comment on function recovery._replace_indexes(recovery.watch, recovery.watch) is
    'Drops the indexes of a watch that do not fit its new registration, and puts in their place those that stand '
    'ready beside them.';

revoke all on function recovery._replace_indexes(recovery.watch, recovery.watch) from public;
