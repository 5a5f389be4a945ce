create or replace procedure recovery.sweep(
    p_label      pg_catalog.text  default null,
    p_batch      integer          default 10000,
    p_lock_wait  interval         default interval '2 seconds',
    p_budget     interval         default null,
    inout report pg_catalog.jsonb default null
)
language plpgsql
security invoker
as $$
-- Not security definer and without a SET clause: it commits after each batch. So it reads its names by the caller's
-- search_path: every function, type and operator stands with its schema, which tools/check_names.py proves.
declare
    v_start   pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    v_session pg_catalog.jsonb := recovery._session_settings();
    v_label   pg_catalog.text := coalesce(p_label, session_user::pg_catalog.text);
    v_by      pg_catalog.text := pg_catalog.concat('sweep:', coalesce(p_label, session_user::pg_catalog.text));
    v_until   pg_catalog.timestamptz := pg_catalog.clock_timestamp() operator(pg_catalog.+) p_budget;
    v_ended   bigint[];
    v_orphan  pg_catalog.record;
    v_burnt   pg_catalog.record;
    v_asked   bigint;
begin
    commit; set transaction isolation level read committed, read write;  -- whatever the session begins with
    perform recovery._check_call(p_batch, p_lock_wait);
    p_lock_wait := recovery._fit_lock_wait(p_lock_wait);
    perform recovery._check_label(v_label);
    if p_budget is not null then
        perform recovery._check_interval('budget', p_budget, interval '1 millisecond', interval '1 day');
    end if;
    perform recovery._begin_step(p_lock_wait);
    v_ended := recovery._end_dead_servers(p_lock_wait);
    commit; set transaction isolation level read committed, read write;
    report := recovery._new_report(v_ended);
    if recovery._begin_step(p_lock_wait) then
        report := recovery._add_to_report(report, 'adopted', recovery._adopt_named(v_by));
    end if;
    commit; set transaction isolation level read committed, read write;
    perform recovery._restore_settings(v_session);
    perform recovery._begin_step(p_lock_wait);
    for v_orphan in
        select distinct o.family, o.epoch from recovery._orphaned_epochs() as o order by o.family, o.epoch
    loop
        call recovery._close_epoch(v_orphan.family, v_orphan.epoch, v_by, p_batch, p_lock_wait,
            recovery._heir_of(v_orphan.epoch), report, p_until => v_until);
        exit when (report operator(pg_catalog.->) 'more') operator(pg_catalog.=) 'true'::pg_catalog.jsonb;
    end loop;
    -- each closing begins a transaction: see recovery._check_fresh
    commit; set transaction isolation level read committed, read write;
    if recovery._begin_step(p_lock_wait) then
        perform recovery._look_at_rows();
    end if;
    commit; set transaction isolation level read committed, read write;
    for v_n in 1 .. 100000 loop
        exit when not recovery._begin_step(p_lock_wait);
        select x.* into v_burnt from recovery._close_lifeless(v_by, p_batch, p_lock_wait) as x;
        commit; set transaction isolation level read committed, read write;
        perform recovery._restore_settings(v_session);
        exit when not v_burnt.o_more;
        report := recovery._add_to_report(recovery._add_to_report(report, 'closed', v_burnt.o_closed), 'failed',
            v_burnt.o_failed);
        if pg_catalog.clock_timestamp() operator(pg_catalog.>) v_until then
            report := pg_catalog.jsonb_set(report, array['more'], 'true');
            exit;
        end if;
    end loop;
    for v_n in 1 .. 100000 loop
        exit when not recovery._begin_step(p_lock_wait);
        select b.* into v_burnt from recovery._close_burnt_fuse(v_by, p_lock_wait) as b;
        commit; set transaction isolation level read committed, read write;
        perform recovery._restore_settings(v_session);
        exit when not v_burnt.o_more;
        report := recovery._add_to_report(report, 'closed', v_burnt.o_closed);
        if pg_catalog.clock_timestamp() operator(pg_catalog.>) v_until then
            report := pg_catalog.jsonb_set(report, array['more'], 'true');
            exit;
        end if;
    end loop;
    if recovery._begin_step(p_lock_wait) then
        v_asked := recovery._ask_owners(v_by);
    else
        report := pg_catalog.jsonb_set(report, array['more'], 'true');
    end if;
    commit; set transaction isolation level read committed, read write;
    perform recovery._restore_settings(v_session);
    for v_n in 1 .. 100000 loop
        exit when not recovery._begin_step(p_lock_wait);
        select x.* into v_burnt from recovery._close_overdue_unit(v_by, p_lock_wait) as x;
        commit; set transaction isolation level read committed, read write;
        perform recovery._restore_settings(v_session);
        exit when not v_burnt.o_more;
        report := recovery._add_to_report(report, 'closed', v_burnt.o_closed);
        if pg_catalog.clock_timestamp() operator(pg_catalog.>) v_until then
            report := pg_catalog.jsonb_set(report, array['more'], 'true');
            exit;
        end if;
    end loop;
    perform recovery._begin_step(p_lock_wait);
    perform recovery._prune_touches();
    report := recovery._end_report(report operator(pg_catalog.||) pg_catalog.jsonb_build_object(
        'asked', coalesce(v_asked, 0), 'unowned', recovery._unowned_work(), 'due', recovery._next_death()), v_start);
    perform recovery._record_sweep(v_label, v_start, report);
    commit; set transaction isolation level read committed, read write;
    -- Nothing that a report tells: what is old goes, and the marks by which standbys know what is settled.
    perform recovery._settled();
    commit; set transaction isolation level read committed, read write;
    perform recovery._begin_step(p_lock_wait);
    perform recovery._prune_old();
    commit; set transaction isolation level read committed, read write;
    perform recovery._restore_settings(v_session);
end
$$;

comment on procedure recovery.sweep(text, integer, interval, interval, jsonb) is
    'The repeating pass: ends the servers that recovery.judgement holds for dead, closes the orphans of every ended '
    'epoch, what is dead by the host''s own evidence, the units of burnt-out fuses and, after asking a live owner, '
    'what is overdue. Any number at once, anywhere. With p_budget it stops after that time, between two batches; its '
    'report then says more. One CALL in autocommit.';

revoke all on procedure recovery.sweep(text, integer, interval, interval, jsonb) from public;
