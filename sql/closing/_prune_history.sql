create or replace function recovery._prune_history()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz := clock_timestamp() - recovery.get_setting('history_retention')::interval;
    v_open   bigint[];
begin
    if v_before is null then
        return;
    end if;
    delete from recovery.sweep_run as s where s.at < v_before;
    if not exists (select from recovery.server as s where s.ended < v_before) then
        return;
    end if;
    perform recovery.prune_processes(greatest(clock_timestamp() - v_before, interval '1 hour'));  -- its least
    -- A row that is still open names why it closes, by its server.
    select coalesce(array_agg(distinct abs(e.epoch)), '{}') into v_open
    from recovery._attached_watches() as w cross join lateral unnest(recovery._open_epochs(w.name)) as e (epoch);
    delete from recovery.server as s
    where s.epoch in (
        select o.epoch from recovery.server as o
        where o.ended < v_before and o.epoch <> all (v_open)
          and not exists (select from recovery.process as p where p.server_epoch = o.epoch)
        limit 10000
        for update skip locked);
end
$$;

comment on function recovery._prune_history() is
    'Part of a sweep: forgets servers, processes and sweepers that ended longer ago than history_retention.';

revoke all on function recovery._prune_history() from public;
