create or replace function recovery._record_sweep(p_label text, p_start timestamptz, p_report jsonb)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch text;
begin
    insert into recovery.sweep_run (label, at, took, report)
    values (p_label, clock_timestamp(), clock_timestamp() - p_start, p_report)
    on conflict (label) do update set at = excluded.at, took = excluded.took, report = excluded.report;
    perform recovery._note_partitions('sweep:' || p_label);
    begin
        perform recovery._note_blind_watches();
    exception when lock_not_available then
        for v_watch in select w.name from recovery._attached_watches() as w loop
            begin
                perform recovery._note_blind_watches(v_watch);
            exception when lock_not_available then
                null;  -- its table is locked: the next sweep looks again
            end;
        end loop;
    end;
    perform recovery._prune_failures();
    perform recovery._announce_silent();
end
$$;

comment on function recovery._record_sweep(text, timestamptz, jsonb) is
    'Last step of a sweep: records it, tells what is gone with a partition and what is written '
    'without events, forgets failures whose row is no longer '
    'open, rings for silent events.';

revoke all on function recovery._record_sweep(text, timestamptz, jsonb) from public;
