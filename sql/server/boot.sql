create or replace procedure recovery.boot(
    p_name          pg_catalog.text,
    p_host          pg_catalog.text        default null,
    p_pid           integer                default null,
    p_process_start pg_catalog.timestamptz default null,
    p_version       pg_catalog.text        default null,
    p_lease         interval               default interval '15 seconds',
    p_grace         interval               default interval '3 seconds',
    p_policy        pg_catalog.text        default 'supersede',
    p_wait          interval               default interval '30 seconds',
    p_batch         integer                default 10000,
    p_lock_wait     interval               default interval '2 seconds',
    p_beat          interval               default null,
    p_direct        boolean                default true,
    inout epoch     bigint                 default null,
    inout token     pg_catalog.uuid        default null,
    inout report    pg_catalog.jsonb       default null
)
language plpgsql
security invoker
as $$
-- Not security definer and without a SET clause: it commits after each batch. So it reads its names by the caller's
-- search_path: every function, type and operator stands with its schema, which tools/check_names.py proves.
declare
    v_start   pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    v_ended   bigint[];
    v_orphan  pg_catalog.record;
    v_session pg_catalog.jsonb := recovery._session_settings();
begin
    commit; set transaction isolation level read committed, read write;  -- whatever the session begins with
    perform recovery._check_call(p_batch, p_lock_wait);
    p_lock_wait := recovery._fit_lock_wait(p_lock_wait);
    perform recovery._check_interval('wait', p_wait, interval '0', interval '1 day');
    loop
        perform recovery._begin_step(p_lock_wait);
        select r.o_epoch, r.o_token, r.o_ended into epoch, token, v_ended
        from recovery._begin_boot(p_name, p_host, p_pid, p_process_start, p_version, p_lease,
            least(p_grace, p_lease),
            case when pg_catalog.clock_timestamp() operator(pg_catalog.>) (v_start operator(pg_catalog.+) p_wait)
                and p_policy operator(pg_catalog.=) 'wait' then 'refuse' else p_policy end,
            p_lock_wait, p_beat, p_direct) as r;
        -- A caller that gets an error instead of its epoch has superseded the others for nothing.
        perform recovery._check_deadline();
        commit; set transaction isolation level read committed, read write;
        exit when epoch is not null;
        perform pg_catalog.pg_sleep(0.1);  -- policy wait: somebody live holds the name
    end loop;
    report := recovery._new_report(v_ended);
    if recovery._begin_step(p_lock_wait) then
        report := recovery._add_to_report(report, 'adopted',
            recovery._adopt_named(pg_catalog.concat('boot:', epoch), p_name));
    end if;
    commit; set transaction isolation level read committed, read write;
    perform recovery._restore_settings(v_session);
    perform recovery._begin_step(p_lock_wait);
    for v_orphan in
        select distinct o.family, o.epoch from recovery._orphaned_epochs(p_name) as o order by o.family, o.epoch
    loop
        exit when (report operator(pg_catalog.->) 'more') operator(pg_catalog.=) 'true'::pg_catalog.jsonb;
        -- Work that an active fuse guards becomes this boot's; the rest closes.
        if recovery._has_guards(v_orphan.family) then
            call recovery._close_epoch(v_orphan.family, v_orphan.epoch, pg_catalog.concat('boot:', epoch), p_batch,
                p_lock_wait, epoch, report, true, epoch, token);
        end if;
        call recovery._close_epoch(v_orphan.family, v_orphan.epoch, pg_catalog.concat('boot:', epoch), p_batch,
            p_lock_wait,
            recovery._heir_of(v_orphan.epoch), report, false, epoch, token);
    end loop;
    report := recovery._end_report(report, v_start);
end
$$;

comment on procedure recovery.boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
    boolean, bigint, uuid, jsonb
) is
    'Boots a server: a new epoch and token; older epochs of the name end, unless they are shown to be alive, and '
    'their orphans close, a batch a transaction. With p_beat (how often it will beat) the calling session becomes the '
    'keeper''s and holds its lock; p_direct false: a pooler is in between, a lock proves nothing. Policies: '
    'supersede, replace, wait (at most p_wait), refuse. One CALL in autocommit. RC004 bad name, RC010 bad argument, '
    'RC005 name is being booted.';

revoke all on procedure recovery.boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
    boolean, bigint, uuid, jsonb
) from public;
