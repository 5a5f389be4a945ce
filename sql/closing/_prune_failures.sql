create or replace function recovery._prune_failures()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure recovery.failure;
    v_watch   recovery.watch;
    v_open    boolean;
    v_task    recovery.task;
    v_count   bigint := 0;
begin
    for v_failure in select f.* from recovery.failure as f loop
        select w.* into v_watch from recovery._attached_watches() as w where w.name = v_failure.watch;
        v_open := false;
        if found then
            v_task.keys := v_failure.key_parts;
            begin
                select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                    'select to_jsonb(exists (select from {relation} as r where {key_is} and ({open})))',
                    jsonb_build_object('relation', v_watch.relation, 'key_is', recovery._key_sql(v_watch, 'equal'),
                                       'open', v_watch.open)), v_task) as o;
            exception when others then
                v_open := true;  -- the watch is broken: its failures stay
            end;
        end if;
        if not v_open then
            delete from recovery.failure as f where f.watch = v_failure.watch and f.key = v_failure.key;
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end
$$;

comment on function recovery._prune_failures() is 'Forgets failures whose row somebody closed or deleted meanwhile.';

revoke all on function recovery._prune_failures() from public;
