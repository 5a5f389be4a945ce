create or replace function recovery._unowned_work()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- By the partial index, and at most a thousand rows of each watch: every sweep asks.
declare
    v_watch  recovery.watch;
    v_count  bigint;
    v_result jsonb := '{}';
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.unowned is null and not recovery._is_replicated(w.family)
          and coalesce(recovery.get_setting('unowned_expected', w.name), 'false') <> 'true'
    loop
        begin
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                select to_jsonb(count(*))
                from (select r.* from {relation} as r where r.server_epoch is null and ({open}) limit 1000) as r
                where ({meant})
                $sql$, jsonb_build_object(
                'relation', v_watch.relation,
                'open', v_watch.open,
                -- Where the host's own tables say something of a row, somebody will notice.
                'meant', concat_ws(') and (', coalesce(v_watch.only_if, 'true'), '(' || v_watch.alive || ') is null'))))
                as n;
        exception when others then
            continue;  -- recovery._orphaned_epochs notes it
        end;
        if v_count > 0 then
            v_result := v_result || jsonb_build_object(v_watch.name, v_count);
        end if;
    end loop;
    return v_result;
end
$$;

comment on function recovery._unowned_work() is
    'Open rows that nobody owns, for each watch that has any, counted up to 1000: written without an epoch, so that '
    'nobody notices when their process dies. Not of watches that close them at boot (p_unowned), that a subscription '
    'writes, or whose setting unowned_expected is true.';

revoke all on function recovery._unowned_work() from public;
