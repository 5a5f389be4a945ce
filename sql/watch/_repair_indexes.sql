create or replace function recovery._repair_indexes(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_kind   text;
    v_flaw   record;
begin
    foreach v_kind in array array['open', 'started'] loop
        v_flaw := recovery._index_problem(p_watch, v_kind);
        if v_flaw.problem like '% is not its index' then
            perform recovery._fail('RC006', v_flaw.problem, v_flaw.remedy);
        elsif v_flaw.problem is not null then
            execute format('drop index %s.recovery_%s_%s', v_schema, v_kind, p_watch.id);
        end if;
    end loop;
end
$$;

comment on function recovery._repair_indexes(recovery.watch) is
    'Drops an index of a watch that is invalid, or not as it should be; recovery._make_definitions makes it anew. '
    'RC006 its name is taken.';

revoke all on function recovery._repair_indexes(recovery.watch) from public;
