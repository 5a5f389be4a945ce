-- Everything belongs to recovery_owner; the other two roles get what they need and no more.
do $$
declare
    v_object record;
begin
    alter schema recovery owner to recovery_owner;
    alter schema recovery_private owner to recovery_owner;
    for v_object in
        select c.oid::regclass as name, c.relkind from pg_catalog.pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind in ('r', 'p', 'v', 'S', 'c')
          and c.relname <> 'alembic_version'
          and not exists (
              select from pg_catalog.pg_depend as d
              where d.objid = c.oid and d.deptype in ('a', 'i') and c.relkind = 'S')
    loop
        execute format('alter %s %s owner to recovery_owner',
            case v_object.relkind when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' else 'table' end,
            v_object.name);
    end loop;
    for v_object in
        select p.oid::regprocedure as name, p.prokind from pg_catalog.pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace
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
    recovery.attach(
        regclass, text, jsonb, text,
        text, text, text, integer, text,
        text, text, text, text[], text[],
        text, interval, interval, text,
        text, text, interval,
        jsonb, text, integer,
        text[], text, interval, interval,
        text, boolean
    )
to public;

-- Runners: the fence of their trigger functions, what they need to know of their own watches, no more.
grant select (epoch, name, ended, pending, drain_until) on recovery.server to recovery_runner;
grant select on recovery.own_fuse, recovery.own_failure, recovery.own_touch, recovery.own_lifeless to recovery_runner;
grant select on sequence recovery.bell_time, recovery.outbox_id_seq to recovery_runner;
grant execute on function
    recovery._fence_write(bigint, boolean),
    recovery.assert_live(bigint),
    recovery._json_difference(jsonb, jsonb),
    recovery._fail(text, text, text),
    recovery._announce_written(text),
    recovery._refuse_open_row(text),
    recovery._now(),
    recovery._problem_of(bigint, timestamptz, timestamptz),
    recovery._refuse_late_result(bigint, bigint, regclass),
    recovery._withdraw_deletion(text, text),
    recovery._writer_epoch(),
    recovery._has_names(regclass, jsonb),
    recovery._stale_sql(integer, text),
    recovery._stale_value(integer, text, anyelement),
    recovery._live_epoch(text)
to recovery_runner;

grant select on recovery.event, recovery.record, recovery.watch, recovery.failure, recovery.sweep_run,
    recovery.judgement, recovery.evidence, recovery.fuse, recovery.fuse_state, recovery.touch, recovery.cancellation,
    recovery.observation, recovery.look, recovery.lifeless, recovery.lifeless_state,
    recovery.server_status, recovery.watch_status, recovery.setting_status, recovery.problem, recovery.consumer_status,
    recovery.open_transaction, recovery.event_floor
    to recovery_server, recovery_listener;
-- The token is a secret between a server and the database.
grant select (epoch, name, host, pid, process_start, version, lease, grace, booted, heartbeat, keeper,
              suspected, looked_at, looked_beat, process_dead, process_seen, drain_until, pending, ended, reason)
    on recovery.server to recovery_server, recovery_listener;

grant execute on function
    recovery.version(),
    recovery.timeline(),
    recovery.open_work(),
    recovery._rows_on_hold(text),
    recovery._reason_message(text),
    recovery._attached_watches(),
    recovery._has_rewriting_trigger(regclass),
    recovery._is_stale(regclass),
    recovery._is_replicated(text),
    recovery._issued_here(bigint),
    recovery._watch_definitions(recovery.watch),
    recovery._partitions_of(regclass),
    recovery._left_partitions(regclass),
    recovery._index_problem(recovery.watch, text, text),
    recovery.examine(text, interval),
    recovery.compare_watch(regclass, jsonb, jsonb),
    recovery._spec_defaults(jsonb),
    recovery._examinations(),
    recovery._examine_consumers(interval),
    recovery._examine_database(),
    recovery._examine_entries(interval),
    recovery._examine_events(),
    recovery._examine_indexes(recovery.watch),
    recovery._examine_leftovers(),
    recovery._examine_login(),
    recovery._examine_replication(),
    recovery._examine_roles(),
    recovery._examine_servers(),
    recovery._examine_settings(),
    recovery._examine_sweeps(interval),
    recovery._examine_transactions(interval),
    recovery._examine_triggers(recovery.watch),
    recovery._examine_watch(recovery.watch),
    recovery._examine_work(),
    recovery._lacks_loan(regclass),
    recovery._now(),
    recovery._problem_of(bigint, timestamptz, timestamptz),
    recovery._fail(text, text, text),
    recovery.check_setting(text, text),
    recovery.get_setting(text, text, text, text)
to recovery_server, recovery_listener;

grant execute on function
    recovery.assert_live(bigint),
    recovery.heartbeat(bigint, uuid),
    recovery.configure(text, text, text, text, text),
    recovery._check_call(integer, interval),
    recovery._check_label(text),
    recovery._call_deadline(),
    recovery._fit_lock_wait(interval),
    recovery._check_deadline(),
    recovery._begin_step(interval),
    recovery._check_session(),
    recovery._check_interval(text, interval, interval, interval),
    recovery._session_settings(),
    recovery._restore_settings(jsonb),
    recovery._add_to_report(jsonb, text, jsonb),
    recovery._begin_boot(text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean),
    recovery.claim_sweep(bigint, uuid, interval),
    recovery.keeper_heartbeat(bigint, uuid, interval, boolean),
    recovery._renew_lease(bigint, uuid),
    recovery.drain(bigint, uuid, interval),
    recovery.light_fuse(text, text, interval, text, integer, timestamptz, text, uuid),
    recovery.extend_fuse(bigint, interval),
    recovery.extend_fuses(bigint[]),
    recovery.cancel_fuse(bigint),
    recovery.host_processes(text),
    recovery.report_processes(text, integer[], timestamptz[], boolean[]),
    recovery.track_process(bigint, uuid, text, text, text, text, integer, timestamptz),
    recovery.untrack_process(bigint),
    recovery.work_processes(text, text, text),
    recovery.orphaned_processes(text, bigint),
    recovery.prune_processes(interval),
    recovery._has_guards(text),
    recovery._heir_of(bigint),
    recovery._look_at_rows(),
    recovery._close_lifeless(text, integer, interval),
    recovery._adopt_named(text, text),
    recovery._close_burnt_fuse(text, interval),
    recovery._begin_shutdown(bigint, uuid, bigint, interval),
    recovery._end_dead_servers(interval),
    recovery._orphaned_epochs(text),
    recovery._close_batch(text, bigint, text, text[], integer, text, interval, boolean, bigint),
    recovery._remaining_orphans(text, bigint, text),
    recovery._disown_rows(text, bigint, integer),
    recovery._add_counts(jsonb, jsonb),
    recovery._new_report(bigint[]),
    recovery._end_report(jsonb, timestamptz),
    recovery._next_death(),
    recovery._record_sweep(text, timestamptz, jsonb),
    recovery._unowned_work(),
    recovery._announce_silent(),
    recovery.touch(text, text[], text),
    recovery._due_units(),
    recovery._ask_owners(text),
    recovery._close_overdue_unit(text, interval),
    recovery._prune_touches(),
    recovery._settled(),
    recovery._prune_old(boolean),
    recovery.preview(text),
    recovery.pending_cancellations(bigint),
    recovery.acknowledge_cancellation(bigint, bigint, uuid)
to recovery_server;

-- Consumers, of whatever role: they read by functions, and what they may change is a position.
grant execute on function
    recovery.read(bigint, integer, text[], text[], text[], text[], text[], bigint[], boolean),
    recovery.page(bigint, int8multirange, integer, recovery.event_filter),
    recovery.tail(),
    recovery.event_range(bigint, bigint),
    recovery.event_since(timestamptz),
    recovery.latest(integer, text[], text[], text[], text[], text[], bigint[]),
    recovery.create_consumer(text, bigint, text[], text[], text[], text[], text[], bigint[], interval),
    recovery.fetch(text, integer),
    recovery.acknowledge(text),
    recovery.move_consumer(text, bigint),
    recovery.drop_consumer(text)
to recovery_server, recovery_listener;

grant execute on procedure
    recovery.boot(
        text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
        boolean, bigint, uuid, jsonb),
    recovery.sweep(text, integer, interval, interval, jsonb),
    recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb),
    recovery._close_epoch(text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz)
to recovery_server;

grant select on recovery.process to recovery_server, recovery_listener;

-- recovery.consumer_status tells by it how far behind a consumer is; up to PostgreSQL 16 it fails without.
grant select on sequence recovery.outbox_id_seq to recovery_server, recovery_listener;

-- Webhooks: their secrets are for who sends, through functions; neither table can be read.
grant execute on function recovery._examine_webhooks(interval) to recovery_server, recovery_listener;
grant select on recovery.webhook_status, recovery.dead_letter to recovery_server, recovery_listener;
grant execute on function
    recovery.add_webhook(
        text, text, text, text[], text[], text[], text[], text[], bigint[], bigint, cidr[], text, interval, integer,
        integer, interval, interval, integer, interval, boolean),
    recovery.remove_webhook(text),
    recovery.pause_webhook(text, text),
    recovery.resume_webhook(text),
    recovery.rotate_webhook(text, text, boolean),
    recovery.redeliver(text, bigint[]),
    recovery.webhook_target(text),
    recovery.due_webhooks(),
    recovery.collect_deliveries(text, integer),
    recovery.claim_deliveries(text, uuid, integer),
    recovery.record_deliveries(text, bigint[], uuid[], integer[], text[], interval[], interval[]),
    recovery.prune_deliveries(integer),
    recovery.current_states(text, text, text[])
to recovery_server;
