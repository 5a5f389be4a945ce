create or replace function recovery._close_selection(
    p_family text, p_owner text, p_epoch bigint, p_guard text,
    p_groups text[], p_watch text, p_key text[], p_bound text[], p_limit integer,
    p_reason text, p_detector text, p_lock_wait interval, p_careful boolean, p_heir bigint,
    p_marked_watch text default null, p_marked text[] default null,
    out o_closed jsonb, out o_failed jsonb, out o_careful boolean, out o_split boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
set work_mem = '32MB'
as $$
-- Joins and sequential scans are off: rows are met by ctid or by the partial index, and an estimate of one row
-- must not turn that into a scan of the table for each batch. A batch of groups is sorted with its events in work_mem.
declare
    v_selection text;  -- as recovery._close_sql knows it
    v_failing   boolean;
    v_task      recovery.task;
    v_runner    integer;
    v_from      bigint := coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0) + 1;
    v_to        bigint;
    v_whole     boolean := true;
begin
    o_closed := '{}';
    o_failed := '{}';
    o_careful := p_careful;
    o_split := false;
    v_task.epoch := p_epoch;
    v_task.keys := coalesce(p_groups, p_key);
    v_task.bound := p_bound;
    v_task.max_rows := p_limit;
    v_task.reason := p_reason;
    v_task.message := recovery._reason_message(p_reason);
    v_task.detector := p_detector;
    v_task.at := recovery._now();
    v_task.heir := p_heir;
    v_task.busy := '{}';
    v_task.key := p_marked_watch;
    v_task.marked := p_marked;
    select min(w.runner), min(w.path) into v_runner, v_task.path
    from recovery._attached_watches() as w where w.family = p_family;
    v_selection := case
        when p_groups is not null then 'groups'
        when p_watch is not null then 'row'
        when exists (
            select from recovery._attached_watches() as w where w.family = p_family and w.group_by is not null)
        then 'loose'
        else 'range' end;
    v_failing := p_owner <> 'any' and exists (
        select from recovery.failure as f join recovery._attached_watches() as w on w.name = f.watch
        where w.family = p_family);
    if p_owner in ('any', 'lifeless') or exists (
        select from recovery._attached_watches() as w
        where p_groups is not null and p_heir is null and w.family = p_family and w.idle_topics is not null)
    then
        select array_agg(distinct e.epoch) into v_task.epochs
        from recovery._attached_watches() as w cross join lateral unnest(recovery._open_epochs(w.name)) as e (epoch)
        where w.family = p_family;
        if p_owner not in ('any', 'lifeless') and cardinality(v_task.epochs) > 3 and cardinality(p_groups) > 100 then
            select f.o_groups, f.o_epochs into v_task.busy, v_task.epochs
            from recovery._open_elsewhere(p_family, v_task) as f;
        end if;
    end if;
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    loop
        begin
            v_task.written := clock_timestamp();
            select c.* into o_closed from recovery._run_as_owner(v_runner, recovery._close_sql(
                p_family, v_selection, p_owner, p_guard, o_careful, v_failing, p_heir is not null, p_watch),
                v_task, 'write') as c;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                -- Somebody holds a row: go round it, now and in what follows; the sweep takes it later.
                exit when o_careful;
                o_careful := true;
                o_closed := '{}';
            when others then
                if v_selection = 'row' then
                    raise;
                end if;
                -- Row by row costs ten times as much: a large batch is tried again in parts.
                o_split := p_owner <> 'any' and p_limit > 64;
                v_whole := o_split;
                exit;
        end;
    end loop;
    if not v_whole then
        select r.o_closed, r.o_failed into o_closed, o_failed
        from recovery._close_rows(p_family, v_selection, p_owner, p_guard, v_task) as r;
    end if;
    if o_closed <> '{}' then
        v_to := currval('recovery.outbox_id_seq') + 99;
        if v_whole and v_failing then
            delete from recovery.failure as f using recovery.event_range(v_from, v_to) as e
            where e.kind in ('closed', 'requeued', 'adopted')
              and f.watch = e.watch and f.key = e.key;
        elsif not v_whole and p_groups is not null and p_heir is null then
            v_to := recovery._write_group_events(p_family, p_epoch, p_groups, v_from, v_to, p_reason, p_detector);
        end if;
        perform recovery._announce_events(v_from, v_to);
    end if;
end
$$;

comment on function recovery._close_selection(
    text, text, bigint, text, text[], text, text[], text[], integer, text, text, interval, boolean, bigint,
    text, text[]
) is
    'Closes (or hands to p_heir) one batch: the rows of p_groups, the row p_key of p_watch, those after key p_key up '
    'to p_bound, or p_limit rows without a group; of these, for owner lifeless, those with the keys p_marked of '
    'p_marked_watch. Goes round locked rows, asks for smaller batches where a large one '
    'fails and finds the bad rows of a small one, writes the events of the groups, announces.';

revoke all on function recovery._close_selection(
    text, text, bigint, text, text[], text, text[], text[], integer, text, text, interval, boolean, bigint,
    text, text[]
) from public;
