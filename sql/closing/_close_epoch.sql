create or replace procedure recovery._close_epoch(
    p_family pg_catalog.text, p_epoch bigint, p_detector pg_catalog.text, p_batch integer, p_lock_wait interval,
    p_heir bigint,
    inout report pg_catalog.jsonb, p_guarded boolean default false, p_self bigint default null,
    p_token pg_catalog.uuid default null,
    p_until pg_catalog.timestamptz default null
)
language plpgsql
security invoker
as $$
-- Not security definer and without a SET clause: it commits after each batch. So it reads its names by the caller's
-- search_path: every function, type and operator stands with its schema, which tools/check_names.py proves.
declare
    v_session pg_catalog.jsonb;
    v_batch   pg_catalog.record;
    v_after   pg_catalog.text[];
    v_careful boolean := false;
    v_limit   integer := p_batch;
    v_begun   pg_catalog.timestamptz;
    v_quick   boolean;
    v_left    pg_catalog.jsonb;
    v_some    boolean;
    v_beat    pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    v_list    pg_catalog.text := case when p_heir is null then 'closed' else 'adopted' end;
    v_guard   pg_catalog.text := case when p_guarded then 'with'
                           when p_heir is not null or not recovery._has_guards(p_family) then 'ignore'
                           else 'without' end;
begin
    -- each closing begins a transaction: see recovery._check_fresh
    commit; set transaction isolation level read committed, read write;
    v_session := recovery._session_settings();  -- not what begin_step has set for a transaction
    for v_pass in 1 .. 3 loop
        v_after := null;
        v_some := false;
        loop
            v_begun := pg_catalog.clock_timestamp();
            if not recovery._begin_step(p_lock_wait) then
                report := pg_catalog.jsonb_set(report, array['more'], 'true');
                commit; set transaction isolation level read committed, read write;
                return;
            end if;
            select b.* into v_batch
            from recovery._close_batch(p_family, p_epoch, v_guard, v_after, v_limit, p_detector, p_lock_wait, v_careful,
                p_heir) as b;
            report := recovery._add_to_report(recovery._add_to_report(report, v_list, v_batch.o_closed), 'failed',
                v_batch.o_failed);
            commit; set transaction isolation level read committed, read write;
            perform recovery._restore_settings(v_session);
            if p_self is not null
                and pg_catalog.clock_timestamp()
                    operator(pg_catalog.>) (v_beat operator(pg_catalog.+) interval '250 ms')
            then
                perform recovery._renew_lease(p_self, p_token);  -- closing may take longer than the lease
                commit; set transaction isolation level read committed, read write;
                v_beat := pg_catalog.clock_timestamp();
            end if;
            v_some := v_some or v_batch.o_closed operator(pg_catalog.<>) '{}';
            v_careful := v_batch.o_careful;
            -- A batch costs some milliseconds whatever its size. So large ones grow while one takes less time than a
            -- booting server may be without a beat, or than a quarter of what is left.
            v_quick := p_batch operator(pg_catalog.>=) 10000
                and pg_catalog.clock_timestamp()
                    operator(pg_catalog.<) (v_begun operator(pg_catalog.+) interval '250 ms')
                and (p_until is null or (pg_catalog.clock_timestamp() operator(pg_catalog.-) v_begun)
                     operator(pg_catalog.*) 4::pg_catalog.float8
                     operator(pg_catalog.<) (p_until operator(pg_catalog.-) pg_catalog.clock_timestamp()));
            v_limit := least(
                v_batch.o_limit, case when v_quick then 4 operator(pg_catalog.*) p_batch else p_batch end);
            if v_batch.o_stopped or not v_batch.o_done and pg_catalog.clock_timestamp() operator(pg_catalog.>) p_until
            then
                report := pg_catalog.jsonb_set(report, array['more'], 'true');
                return;
            end if;
            exit when v_batch.o_done;
            v_after := v_batch.o_after;
        end loop;
        -- A row that changed under us was passed over: look again while it helps.
        perform recovery._begin_step(p_lock_wait);
        v_left := recovery._remaining_orphans(p_family, p_epoch, v_guard);
        commit; set transaction isolation level read committed, read write;
        exit when v_left operator(pg_catalog.=) '{}' or not v_some;
    end loop;
    if v_left operator(pg_catalog.=) '{}' then
        if p_epoch is not null and p_heir is null and v_guard operator(pg_catalog.=) 'ignore' then
            while recovery._begin_step(p_lock_wait)
                and recovery._disown_rows(p_family, p_epoch, p_batch) operator(pg_catalog.>) 0 loop
                commit; set transaction isolation level read committed, read write;
            end loop;
        end if;
    else
        report := recovery._add_to_report(report, 'busy', v_left);
    end if;
    commit; set transaction isolation level read committed, read write;
    perform recovery._restore_settings(v_session);
end
$$;

comment on procedure recovery._close_epoch(
    text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz
) is
    'Closes all orphans of one ended epoch in one family, a batch a transaction: p_batch rows, from 10000 on up to '
    'four times as many while one takes less than 0.25 s. Shared by boot, sweep and shutdown. '
    'With p_heir it hands them over instead, with p_guarded only those that an active fuse guards. Beats for the '
    'booting server p_self. Stops after p_until, and says more in the report.';

revoke all on procedure recovery._close_epoch(
    text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz
) from public;
