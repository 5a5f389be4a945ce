-- Everything belongs to recovery_owner; the other two roles get what they need and no more.
do $$
declare
    v_object record;
begin
    alter schema recovery owner to recovery_owner;
    alter schema recovery_private owner to recovery_owner;
    for v_object in
        select c.oid::regclass as name, c.relkind from pg_catalog.pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind in ('r', 'v', 'S', 'c')
          and c.relname <> 'alembic_version'
          and not exists (select from pg_catalog.pg_depend as d where d.objid = c.oid and d.deptype in ('a', 'i') and c.relkind = 'S')
    loop
        execute format('alter %s %s owner to recovery_owner',
            case v_object.relkind when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' else 'table' end, v_object.name);
    end loop;
    for v_object in
        select p.oid::regprocedure as name, p.prokind from pg_catalog.pg_proc as p where p.pronamespace = 'recovery'::regnamespace
    loop
        execute format('alter %s %s owner to recovery_owner',
            case v_object.prokind when 'p' then 'procedure' else 'function' end, v_object.name);
    end loop;
end
$$;

grant usage on schema recovery to recovery_server, recovery_listener, recovery_runner;

-- The one thing that is everybody's: it says what to ask a DBA for.
grant usage on schema recovery to public;
grant execute on function
    recovery.attach(regclass, text, jsonb, text, text, text, text, integer, text, text, text, text, text[], text[], text, interval, text, interval, jsonb, text, integer, text)
to public;

-- Runners: the fence of their trigger functions, what they need to know of their own watches, no more.
grant select (epoch, ended, pending, drain_until) on recovery.server to recovery_runner;
grant select on recovery.own_fuse, recovery.own_failure, recovery.own_touch to recovery_runner;
grant select on sequence recovery.bell_time to recovery_runner;
grant execute on function
    recovery.admit(bigint, boolean),
    recovery.assert_live(bigint),
    recovery.changed(jsonb, jsonb),
    recovery.fail(text, text, text),
    recovery.knock(),
    recovery.left_open(text),
    recovery.now(),
    recovery.problem_of(bigint, timestamptz, timestamptz),
    recovery.refuse_late(bigint, bigint, regclass),
    recovery.take_back(text, text),
    recovery.writer()
to recovery_runner;

grant select on recovery.event, recovery.watch, recovery.failure, recovery.sweep_run,
    recovery.judgement, recovery.evidence, recovery.fuse, recovery.fuse_state, recovery.touch, recovery.cancellation, recovery.observation, recovery.server_status, recovery.watch_status, recovery.setting_status, recovery.problem to recovery_server, recovery_listener;
-- The token is a secret between a server and the database.
grant select (epoch, name, host, pid, process_start, version, lease, grace, booted, heartbeat, keeper,
              suspected, looked_at, looked_beat, process_dead, process_seen, drain_until, pending, ended, reason)
    on recovery.server to recovery_server, recovery_listener;

grant execute on function
    recovery.version(),
    recovery.timeline(),
    recovery.horizon(),
    recovery.open_work(),
    recovery.waiting(text),
    recovery.words(text),
    recovery.attached(),
    recovery.rewrites(regclass),
    recovery.is_stale(regclass),
    recovery.replicated(text),
    recovery.issued_here(bigint),
    recovery.definitions_of(recovery.watch),
    recovery.index_problem(recovery.watch, text),
    recovery.examine(),
    recovery.lacks_loan(regclass),
    recovery.now(),
    recovery.problem_of(bigint, timestamptz, timestamptz),
    recovery.fail(text, text, text),
    recovery.check_setting(text, text),
    recovery.setting_of(text, text, text, text)
to recovery_server, recovery_listener;

grant execute on function
    recovery.assert_live(bigint),
    recovery.heartbeat(bigint, uuid),
    recovery.configure(text, text, text, text, text),
    recovery.check_call(integer, interval),
    recovery.check_label(text),
    recovery.deadline(),
    recovery.fit(interval),
    recovery.check_deadline(),
    recovery.begin_step(interval),
    recovery.check_session(),
    recovery.check_interval(text, interval, interval, interval),
    recovery.session_settings(),
    recovery.restore_settings(jsonb),
    recovery.add_to_report(jsonb, text, jsonb),
    recovery.register(text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean),
    recovery.claim_sweep(bigint, uuid, interval),
    recovery.keep(bigint, uuid, interval, boolean),
    recovery.renew(bigint, uuid),
    recovery.drain(bigint, uuid, interval),
    recovery.light(text, text, interval, text, integer, timestamptz, text, uuid),
    recovery.extend(bigint, interval),
    recovery.extend_all(bigint[]),
    recovery.cancel(bigint),
    recovery.local_processes(text),
    recovery.report_processes(text, integer[], timestamptz[], boolean[]),
    recovery.track(bigint, uuid, text, text, text, text, integer, timestamptz),
    recovery.untrack(bigint),
    recovery.processes_of(text, text, text),
    recovery.left_processes(text, bigint),
    recovery.prune_processes(interval),
    recovery.has_fuses(text),
    recovery.heir_of(bigint),
    recovery.burn(text, interval),
    recovery.resign(bigint, uuid, bigint, interval),
    recovery.reap(interval),
    recovery.orphaned(text),
    recovery.close_batch(text, bigint, text, text[], integer, text, interval, boolean, bigint),
    recovery.remaining(text, bigint, text),
    recovery.release(text, bigint, integer),
    recovery.add_counts(jsonb, jsonb),
    recovery.new_report(bigint[]),
    recovery.end_report(jsonb, timestamptz),
    recovery.record_sweep(text, timestamptz, jsonb),
    recovery.unowned_work(),
    recovery.ring(),
    recovery.touch(text, text[], text),
    recovery.due(),
    recovery.ask(text),
    recovery.expire(text, interval),
    recovery.forget(),
    recovery.preview(text),
    recovery.cancellations(bigint),
    recovery.acknowledge(bigint, bigint, uuid)
to recovery_server;

grant execute on procedure
    recovery.boot(text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval, boolean, bigint, uuid, jsonb),
    recovery.sweep(text, integer, interval, interval, jsonb),
    recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb),
    recovery.close_epoch(text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz)
to recovery_server;

grant select on recovery.process to recovery_server, recovery_listener;
