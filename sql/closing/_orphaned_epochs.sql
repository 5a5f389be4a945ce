create or replace function recovery._orphaned_epochs(p_name text default null)
returns table (family text, epoch bigint, reason text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  record;
    v_epochs bigint[];
    v_state  text;
    v_error  text;
    v_hint   text;
begin
    perform recovery._forget_dropped();
    for v_watch in
        select w.name, w.family, w.started, w.unowned, b.watch is not null as broken, b.at, b.state,
            case when b.watch is not null then recovery._table_state(w) end as now,
            recovery._is_replicated(w.family) as replicated
        from recovery._attached_watches() as w left join recovery.broken_watch as b on b.watch = w.name
            order by w.family, w.position
    loop
        -- What is broken stays so until somebody changes something, or not: it is looked at again now and then.
        continue when v_watch.state = v_watch.now and v_watch.at > clock_timestamp() - interval '10 seconds';
        begin
            perform recovery._follow_watch(v_watch.name, v_watch.broken);
            v_epochs := recovery._open_epochs(v_watch.name);
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint;
            if v_state !~ '^(40|55|57)' then  -- somebody held it up, and that was all
                perform recovery._note_broken_watch(v_watch.name, v_state, v_error, v_hint);
            end if;
            continue;
        end;
        if v_watch.broken then
            perform recovery._note_whole_watch(v_watch.name);
        end if;
        return query
            select v_watch.family, s.epoch, coalesce(s.reason, s.pending)
            from unnest(v_epochs) as o (epoch)
            join recovery.server as s on s.epoch = o.epoch
            where (s.ended is not null or s.pending is not null) and (p_name is null or s.name = p_name)
              and (not v_watch.replicated or recovery._issued_here(s.epoch));
        if v_watch.unowned is not null and not v_watch.replicated then
            return query select v_watch.family, null::bigint, 'unowned'::text;
        end if;
    end loop;
end
$$;

comment on function recovery._orphaned_epochs(text) is
    'Families and epochs that have ended, or are to end and may write no more, that still own open rows (of one '
    'server name, or all); epoch null stands for rows that no server owns. Rows of a publisher are not among them. A '
    'watch that fails is noted in recovery.broken_watch and passed over.';

revoke all on function recovery._orphaned_epochs(text) from public;
