create or replace function recovery._adopt_named(p_detector text, p_name text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- By the partial index: every sweep asks.
declare
    v_watch   recovery.watch;
    v_task    recovery.task;
    v_names   jsonb;
    v_name    text;
    v_adopted jsonb;
    v_from    bigint;
    v_result  jsonb := '{}';
begin
    perform recovery._check_fresh();
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.owner is not null and not recovery._is_replicated(w.family) order by w.family, w.position, w.name
    loop
        begin
            select n.* into v_names from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(array_agg(distinct ({owner}))) from {relation} as r'
                ' where r.server_epoch is null and ({open}) and ({owner}) is not null',
                jsonb_build_object('owner', v_watch.owner, 'relation', v_watch.relation, 'open', v_watch.open))) as n;
            for v_name in
                select u.name from unnest(recovery._to_texts(v_names)) as u (name)
                where p_name is null or u.name = p_name order by 1
            loop
                v_task.heir := recovery._live_epoch(v_name);
                continue when v_task.heir is null;
                v_task.key := v_name;
                v_task.reason := 'adopted';
                v_task.detector := p_detector;
                v_task.at := recovery._now();
                v_task.written := clock_timestamp();
                v_task.path := v_watch.path;
                v_from := coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0) + 1;
                -- Rows that somebody has locked are the next sweep's.
                select a.* into v_adopted from recovery._run_as_owner(v_watch.runner, recovery._close_sql(
                    v_watch.family, 'range', 'named', 'ignore', true, false, true, v_watch.name), v_task, 'write') as a;
                if v_adopted <> '{}' then
                    perform recovery._announce_events(v_from, currval('recovery.outbox_id_seq') + 99);
                    v_result := recovery._add_counts(v_result, v_adopted);
                end if;
            end loop;
        exception when others then
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
    return v_result;
end
$$;

comment on function recovery._adopt_named(text, text) is
    'Gives open rows without an owner to the live server that they name (or only to that of one name): a worker that '
    'boots after its work was written. Counts per watch.';

revoke all on function recovery._adopt_named(text, text) from public;
