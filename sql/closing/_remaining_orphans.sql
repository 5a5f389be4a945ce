create or replace function recovery._remaining_orphans(p_family text, p_epoch bigint, p_guard text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- By the partial index, whatever the statistics say of rows that have just been closed.
declare
    v_watch  recovery.watch;
    v_owner  text := case when p_epoch is null then 'none' else 'epoch' end;
    v_holes  jsonb;
    v_count  bigint;
    v_result jsonb := '{}';
    v_task   recovery.task;
    v_template constant text := $sql$
        select to_jsonb(count(*))
        from {relation} as r
        where {closable} and not exists (
            select from recovery.own_failure as f where f.watch = {watch!l} and f.key = {key})
        $sql$;
begin
    v_task.epoch := p_epoch;
    v_task.at := recovery._now();
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        v_holes := jsonb_build_object(
            'relation', v_watch.relation, 'watch', v_watch.name, 'key', recovery._key_text(v_watch.key_columns, 'r'));
        begin
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(v_template,
                v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, v_owner, p_guard))),
                    v_task) as n;
        exception when others then
            begin
                -- only_if fails for some row: count without it.
                select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(v_template,
                    v_holes || jsonb_build_object('closable',
                        recovery._closable_sql(v_watch, v_owner, p_guard, false))),
                    v_task) as n;
            exception when others then
                perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
                continue;
            end;
        end;
        if v_count > 0 then
            v_result := v_result || jsonb_build_object(v_watch.name, v_count);
        end if;
    end loop;
    return v_result;
end
$$;

comment on function recovery._remaining_orphans(text, bigint, text) is
    'Orphans of an ended epoch that are still open and not recorded as failing: somebody holds them.';

revoke all on function recovery._remaining_orphans(text, bigint, text) from public;
