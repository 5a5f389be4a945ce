select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), true);
--;
select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), false)
where pg_catalog.current_setting('recovery.migrator_path') operator(pg_catalog.<>) pg_catalog.current_setting('search_path');
--;
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
--;
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp';
--;
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), true);
--;
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), false)
where pg_catalog.current_setting('recovery.migrator_quotes') operator(pg_catalog.<>) pg_catalog.current_setting('quote_all_identifiers');
--;
select pg_catalog.set_config('quote_all_identifiers', 'off', true);
--;
select pg_catalog.set_config('quote_all_identifiers', 'off', false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) 'off';
--;
set check_function_bodies = off;
--;
/* pg-recovery in one page.

   A server process does work and writes rows about it. When it dies, those rows say "running" for ever. This schema
   closes exactly them, and tells every client.

   Words
     server   a process that owns work; each boot of it has an epoch, a number that is never used again
     watch    what is known of one table: which rows are open, how one is closed, in which group (session) it is
     owner    column server_epoch of a watched row, written by the trigger that sees the work open
     orphan   an open row whose epoch has ended and that no active fuse guards
     fuse     a lease on one unit of work, which keeps it open while its process lives
     unit     what is guarded, timed out or closed by hand: one row (told by its watch and key), or one group with all
              its rows (told by its family and key)
     runner   the role that executes a host's expressions and triggers, with the rights of the table's owner

   The path of a row
     insert or update   zz_recovery_* (BEFORE) writes the owner; recovery_* (AFTER) takes the shared lock of the epoch,
                        asks whether it lives (the fence), and appends the event in the same transaction
     heartbeat          a keeper says every few seconds that the server lives, and holds the advisory lock -epoch
     boot               a new epoch; older ones of the same name end unless they are shown to be alive
     sweep              _observe_servers -> judgement -> _end_dead_servers -> _orphaned_epochs -> _close_epoch, a batch
                        a transaction; then burnt fuses, then overdue work
     _close_batch       one statement (_close_sql) updates the orphans of a batch and writes their events; a bad batch
                        is made smaller until the bad row stands alone in recovery.failure
     NOTIFY recovery    says only "look"; consumers fetch what has become visible after their position. Events are
                        stored in recovery.outbox, recovery.event shows them; settled: none can appear below any more

   Rooms (folders of sql/, in this order)
     setup     roles, schema, errors, clock, epochs       rights    whose rights a statement about watched rows has
     watch     attach, detach, what is made for a table   server    boot, heartbeat, drain, evict, shutdown
     fence     who may write                              death     evidence, judgement, the end of an epoch
     closing   sweep, one batch, one unit, preview        step      what boot, sweep and shutdown begin and report
     fuse      leases on units of work                    process   processes that do work, seen from their host
     event     the outbox, its wake-ups, consumers        watchdog  timeouts: ask the owner, then close
     webhook   events by HTTP: collect, claim, record     status    what people look at

   Names
     Routines without an underscore are for callers and stay as they are within a major version. Those with one are for
     these routines only: the roles that may call them need them because a procedure that commits runs as its caller.
     What acts is verb_noun, what tells is a noun; v_ are variables, p_ parameters, o_ results, zz_ fires last.

   Locks, always in this order: the name of a server (boot), the epoch (advisory, exclusive to end it, shared to write),
   the row of the server, rows of watched tables (by groups, then watches, then keys), recovery.outbox.

   Errors have class RC: see sql/setup/_fail.sql and the table in ARCHITECTURE.md. */

-- sql/setup/roles.sql
-- Roles belong to the cluster, not to one database: they are made when missing and shared by every
-- database that carries the schema. None of them can log in; grant the first three to the roles that do.
--   recovery_owner     owns the schema
--   recovery_server    a process that owns work: boot, heartbeat, sweep, shutdown
--   recovery_listener  reads events and status, changes nothing
--   recovery_runner    what all runners may do: the fence, and their own watches; see recovery.permit
do $$
declare
    v_role text;
begin
    foreach v_role in array array['recovery_owner', 'recovery_server', 'recovery_listener', 'recovery_runner'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
            exception when duplicate_object or unique_violation then
                null;  -- another database's migration was faster
            end;
        end if;
    end loop;
    if not pg_catalog.pg_has_role(current_user, 'recovery_owner', 'usage') then
        execute format('grant recovery_owner to %I', current_user);
    end if;
end
$$;
--;
-- sql/setup/schema.sql
-- pg-recovery's own environment has made the schema, for its version table. Nothing else may be in it: a downgrade
-- would drop it, and whoever owns a schema or a function in it could slip us theirs.
do $$
begin
    if to_regnamespace('recovery') is null then
        create schema recovery;
    elsif exists (
            select from pg_depend as d
            where d.refclassid = 'pg_namespace'::regclass and d.refobjid = to_regnamespace('recovery')
              and (d.classid <> 'pg_class'::regclass
                  or d.objid is distinct from to_regclass('recovery.alembic_version')))
        or not exists (
            select from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
            where n.nspname = 'recovery' and (r.rolname in (current_user, 'recovery_owner') or r.rolsuper))
    then
        raise exception using
            errcode = 'duplicate_schema',
            message = 'schema "recovery" is in use already',
            hint = 'If `recovery migrate` installed it: `alembic stamp` its revisions here, then drop table '
                'recovery.alembic_version. Else rename the schema.';
    end if;
end
$$;
--;
comment on schema recovery is
    'Crash recovery of in-flight work: servers, watches, durable events, and the routines that close orphans.';
--;
revoke all on schema recovery from public;
--;
create schema recovery_private;
--;
comment on schema recovery_private is
    'The functions by which runners execute what stands in their owners'' tables: recovery_owner alone can name them.';
--;
revoke all on schema recovery_private from public;
--;
-- sql/rights/task.sql
create type recovery.task as (
    epoch    bigint,
    keys     text[],
    bound    text[],
    key      text,
    max_rows bigint,
    reason   text,
    message  text,
    detector text,
    at       timestamptz,
    written  timestamptz,
    heir     bigint,
    epochs   bigint[],
    since    timestamptz,
    span     interval,
    path     text,
    busy     text[],
    marked   text[]
);
--;
comment on type recovery.task is
    'What a statement about watched rows is told, as ($1).field: the only way from our routines into those that a '
    'runner executes. The planner folds its fields, so that partial indexes serve.';
--;
comment on column recovery.task.epoch is 'Owner of the rows.';
--;
comment on column recovery.task.keys is 'Groups, or the key after which to go on, or the key of one row.';
--;
comment on column recovery.task.bound is 'Last key of a range.';
--;
comment on column recovery.task.key is 'Key or group as recovery.event writes it.';
--;
comment on column recovery.task.max_rows is 'Rows at most.';
--;
comment on column recovery.task.reason is 'Why rows are closed.';
--;
comment on column recovery.task.message is 'The reason in words.';
--;
comment on column recovery.task.detector is 'Who closes.';
--;
comment on column recovery.task.at is 'Now, by recovery._now(): leases, fuses and timeouts are judged by it.';
--;
comment on column recovery.task.written is 'Now, by the database clock: it is written into rows and events.';
--;
comment on column recovery.task.heir is 'Epoch that takes the rows over.';
--;
comment on column recovery.task.epochs is 'Epochs that own open rows.';
--;
comment on column recovery.task.since is 'Since when sweepers watch without a break.';
--;
comment on column recovery.task.span is 'The least timeout.';
--;
comment on column recovery.task.path is 'search_path that the host''s writers have: its triggers see it.';
--;
comment on column recovery.task.marked is 'Keys of the rows that alive was found false for.';
--;
comment on column recovery.task.busy is 'Groups in which others are known to have open work.';
--;
-- sql/watch/unit.sql
create type recovery.unit as (
    family text,
    scope  text,
    watch  text,
    key    text
);
--;
comment on type recovery.unit is
    'A unit of work: what is guarded by a fuse, done by a process, timed out, or closed by hand. A row is told by its '
    'watch and key, a group (session) by its family and key.';
--;
comment on column recovery.unit.family is 'Family of the watch; with the key it says which group.';
--;
comment on column recovery.unit.scope is 'row: one row; group: one group with all its rows.';
--;
comment on column recovery.unit.watch is
    'Watch of the row; of a group the watch through which it was named, which may be any of its family.';
--;
comment on column recovery.unit.key is 'Key of the row or of the group, as recovery.event shows it.';
--;
-- sql/event/event_filter.sql
create type recovery.event_filter as (
    watch     text[],
    group_key text[],
    reason    text[],
    kind      text[],
    topic     text[],
    epoch     bigint[]
);
--;
comment on type recovery.event_filter is
    'Which events a consumer wants: an event must be in each list that is given. A null in a list stands for events '
    'that have none.';
--;
comment on column recovery.event_filter.watch is 'Names of watches.';
--;
comment on column recovery.event_filter.group_key is 'Groups.';
--;
comment on column recovery.event_filter.reason is 'Reasons.';
--;
comment on column recovery.event_filter.kind is 'Kinds.';
--;
comment on column recovery.event_filter.topic is 'Topics.';
--;
comment on column recovery.event_filter.epoch is 'Epochs of the owners.';
--;
-- sql/event/event_row.sql
create type recovery.event_row as (
    id           bigint,
    at           timestamptz,
    server_epoch bigint,
    watch        text,
    kind         text,
    topic        text,
    key          text,
    group_key    text,
    reason       text,
    detector     text,
    old          jsonb,
    new          jsonb
);
--;
comment on type recovery.event_row is 'One event, as functions hand it on: the columns of recovery.event.';
--;
comment on column recovery.event_row.id is 'As in recovery.event.';
--;
comment on column recovery.event_row.at is 'As in recovery.event.';
--;
comment on column recovery.event_row.server_epoch is 'As in recovery.event.';
--;
comment on column recovery.event_row.watch is 'As in recovery.event.';
--;
comment on column recovery.event_row.kind is 'As in recovery.event.';
--;
comment on column recovery.event_row.topic is 'As in recovery.event.';
--;
comment on column recovery.event_row.key is 'As in recovery.event.';
--;
comment on column recovery.event_row.group_key is 'As in recovery.event.';
--;
comment on column recovery.event_row.reason is 'As in recovery.event.';
--;
comment on column recovery.event_row.detector is 'As in recovery.event.';
--;
comment on column recovery.event_row.old is 'As in recovery.event.';
--;
comment on column recovery.event_row.new is 'As in recovery.event.';
--;
-- sql/status/finding.sql
create type recovery.finding as (
    code     text,
    severity text,
    kind     text,
    subject  text,
    problem  text,
    remedy   text,
    fix      text[]
);
--;
comment on type recovery.finding is 'One thing that recovery.examine() has found wrong, or worth to know.';
--;
comment on column recovery.finding.code is 'Stable name of what is wrong; docs/reference/doctor.md lists them.';
--;
comment on column recovery.finding.severity is
    'error: a promise does not hold; warning: it soon may not, or work waits; note: worth to know.';
--;
comment on column recovery.finding.kind is
    'What the subject is: check, database, role, watch, table, server, session, consumer, fuse, process, setting or '
    'webhook.';
--;
comment on column recovery.finding.subject is 'What it is about.';
--;
comment on column recovery.finding.problem is 'What is wrong with it.';
--;
comment on column recovery.finding.remedy is 'What to type, or to do.';
--;
comment on column recovery.finding.fix is
    'Statements, each a transaction of its own, that repair it and lose nothing: recovery doctor --fix executes them. '
    'Null: a person decides.';
--;
-- sql/setup/clock.sql
create table recovery.clock (
    one   boolean  not null default true,
    shift interval not null default interval '0',
    constraint clock_pkey primary key (one),
    constraint clock_one_check check (one)
);
--;
insert into recovery.clock default values;
--;
comment on table recovery.clock is
    'Moves the clock by which leases, fuses and timeouts are judged; for tests, and only the owner can.';
--;
comment on column recovery.clock.one is 'There is one row.';
--;
comment on column recovery.clock.shift is 'Added to the database clock.';
--;
-- sql/rights/runner.sql
create table recovery.runner (
    id         integer generated always as identity,
    owner      regrole not null,
    role       name    not null,
    privileged boolean not null,
    constraint runner_pkey primary key (id),
    constraint runner_owner_key unique (owner)
);
--;
comment on table recovery.runner is
    'For each owner of watched tables the role that executes what stands in them: expressions, triggers, defaults. '
    'Written by recovery.permit.';
--;
comment on column recovery.runner.id is 'Number of the runner; recovery_private.run_<id> is its function.';
--;
comment on column recovery.runner.owner is 'Whose tables.';
--;
comment on column recovery.runner.role is
    'The runner: no login, a member of the owner (or, if that is privileged, granted what it needs table by table).';
--;
comment on column recovery.runner.privileged is
    'The owner is a superuser or belongs to recovery_owner: the runner is no member of it.';
--;
-- sql/watch/broken_watch.sql
create table recovery.broken_watch (
    watch    text        not null,
    since    timestamptz not null default now(),
    at       timestamptz not null default now(),
    sqlstate text        not null,
    message  text        not null,
    remedy   text        not null,
    state    text,
    constraint broken_pkey primary key (watch)
);
--;
comment on table recovery.broken_watch is
    'Watches whose expressions, table or runner fail: their rows wait, all others are served. Written and cleared by '
    'boots and sweeps, shown by status.';
--;
comment on column recovery.broken_watch.watch is 'Name of the watch.';
--;
comment on column recovery.broken_watch.since is 'When it failed first.';
--;
comment on column recovery.broken_watch.at is 'When it failed last.';
--;
comment on column recovery.broken_watch.sqlstate is 'SQLSTATE of the last error.';
--;
comment on column recovery.broken_watch.message is 'Message of the last error.';
--;
comment on column recovery.broken_watch.state is 'Of its table then, as recovery._table_state prints it.';
--;
comment on column recovery.broken_watch.remedy is 'What repairs it: a statement, where there is one.';
--;
-- sql/watch/partition.sql
create table recovery.partition (
    watch    integer  not null,
    relation regclass not null,
    filenode oid      not null,
    detached timestamptz,
    since    bigint   not null,
    seen     bigint,
    mark     xid8,
    constraint partition_pkey primary key (watch, relation)
);
--;
comment on table recovery.partition is
    'The partitions that a sweep has seen below each watched table. PostgreSQL fires no trigger when one is detached, '
    'dropped or truncated: the next sweep compares, and says which open rows are gone.';
--;
comment on column recovery.partition.watch is 'Number of the watch.';
--;
comment on column recovery.partition.relation is 'The partition, at whatever level.';
--;
comment on column recovery.partition.filenode is 'Its file: TRUNCATE gives it a new one.';
--;
comment on column recovery.partition.detached is
    'When a sweep found it detached, with what PostgreSQL leaves in it: column and index. Null: it is a partition.';
--;
comment on column recovery.partition.since is
    'No event before this one is the last word of an open row: the search for rows that are gone begins here. Since, '
    'seen and mark are the same for all partitions of a watch.';
--;
comment on column recovery.partition.seen is 'The newest event at the last such search.';
--;
comment on column recovery.partition.mark is
    'When the oldest transaction has reached this one, all events up to seen are there, or were rolled back.';
--;
-- sql/watch/watch.sql
create table recovery.watch (
    id            integer   generated always as identity,
    relation      regclass  not null,
    spec          jsonb     not null,
    path          text      not null,
    supervised    jsonb,
    runner        integer   not null,
    name          text      not null,
    family        text      not null,
    outbox        integer   not null,
    position      integer   not null,
    open          text      not null,
    open_columns  smallint[],
    plain         boolean   not null,
    close         jsonb     not null,
    key_columns   text[]    not null,
    key_types     text[]    not null,
    group_by      text,
    group_type    text,
    parent        text,
    order_by      text,
    only_if       text,
    image         text      not null,
    diff          boolean   not null,
    topic         text,
    failed_topics text[],
    idle_topics   text[],
    started       text,
    unowned       interval,
    launch_grace  interval,
    events        text      not null,
    requeue       jsonb,
    attempts      text,
    max_attempts  integer,
    free_reasons  text[],
    not_before    text,
    owner         text,
    owner_columns smallint[],
    alive         text,
    alive_lease   interval,
    activity      text,
    timeout       text,
    kind          text,
    hold          text,
    child         text,
    cancel        text      not null default 'row',
    own_column    boolean   not null,
    canonical     jsonb     not null,
    uses          jsonb     not null,
    checked       text,
    told          timestamptz,
    attached      timestamptz default clock_timestamp(),
    constraint watch_pkey primary key (id),
    constraint watch_runner_fkey foreign key (runner) references recovery.runner (id),
    constraint watch_name_key unique (name),
    constraint watch_relation_key unique (relation),
    constraint watch_cancel_check check (cancel in ('row', 'group')),
    constraint watch_events_check check (events in ('all', 'closed'))
);
--;
comment on table recovery.watch is
    'One row for each watched table: SQL expressions over its row r (and the closing c) that say what is open and how '
    'to close it. Written by recovery.attach, removed by recovery.detach; row security lets an owner write those of '
    'its own tables only, and all but relation, spec, path and supervised is made from these by triggers.';
--;
comment on column recovery.watch.id is 'Number of the watch; names its generated trigger functions.';
--;
comment on column recovery.watch.name is
    'Name of the watch in events and reports, schema.table unless another was given.';
--;
comment on column recovery.watch.relation is 'The watched table.';
--;
comment on column recovery.watch.family is
    'Watches of one family share their groups and close together, a group in one transaction.';
--;
comment on column recovery.watch.position is
    'Order within the family: rows of lower positions are closed and announced first.';
--;
comment on column recovery.watch.open is
    'Boolean expression: the row is work in flight. Stands literally in the partial index, the triggers and every '
    'statement.';
--;
comment on column recovery.watch.open_columns is 'Numbers of the columns that open and group_by read.';
--;
comment on column recovery.watch.plain is
    'open, group_by and started use built-in types only: reading them runs no code, whoever does it.';
--;
comment on column recovery.watch.close is 'Column -> expression over r and c that a closing sets.';
--;
comment on column recovery.watch.key_columns is 'Primary key columns.';
--;
comment on column recovery.watch.key_types is 'Their types.';
--;
comment on column recovery.watch.group_by is
    'Expression for the group (session) that the row belongs to; null: every row stands alone.';
--;
comment on column recovery.watch.group_type is 'Type of group_by.';
--;
comment on column recovery.watch.parent is
    'On the watch whose rows are the groups: expression for the parent group; trees close deepest first.';
--;
comment on column recovery.watch.order_by is 'Order of the rows of one group in events.';
--;
comment on column recovery.watch.only_if is
    'Further condition for an open row of an ended epoch to be an orphan; others are let go (server_epoch becomes '
    'null).';
--;
comment on column recovery.watch.image is 'Jsonb expression: what an event records of the row before and after.';
--;
comment on column recovery.watch.diff is 'The image holds whole json columns: events record only what differs.';
--;
comment on column recovery.watch.topic is 'Name of the bus event for a row of this table.';
--;
comment on column recovery.watch.failed_topics is
    'On the watch whose rows are the groups: events for a group in which work was closed.';
--;
comment on column recovery.watch.idle_topics is 'The same, when nothing of the group is open any more.';
--;
comment on column recovery.watch.started is 'Timestamptz expression: when the work began.';
--;
comment on column recovery.watch.unowned is
    'Open rows without an epoch that started longer ago than this are closed at boot; null: left alone.';
--;
comment on column recovery.watch.launch_grace is
    'Open work that started more recently than this is kept although no fuse guards it yet; null: the work of this '
    'table has no fuses.';
--;
comment on column recovery.watch.events is 'all: every transition is an event; closed: only what recovery itself does.';
--;
comment on column recovery.watch.requeue is
    'Column -> expression over r and c that a closing sets instead, while attempts are left: back to the queue.';
--;
comment on column recovery.watch.attempts is 'Integer column that counts the attempts.';
--;
comment on column recovery.watch.max_attempts is 'So many in all; the last one fails.';
--;
comment on column recovery.watch.free_reasons is 'Reasons of a closing that cost no attempt.';
--;
comment on column recovery.watch.not_before is
    'Timestamptz column that a requeue sets: the host''s queue must not take the row before.';
--;
comment on column recovery.watch.owner is
    'Text expression: the name of the server that does the work, where another session writes the row; null: the '
    'session is the owner.';
--;
comment on column recovery.watch.owner_columns is 'Numbers of the columns that it reads.';
--;
comment on column recovery.watch.alive is
    'Boolean expression, evidence from the host''s own tables: false, the row is an orphan whoever owns it; true, it '
    'is guarded; null says nothing.';
--;
comment on column recovery.watch.alive_lease is 'How long it must be seen false, without a break, to count.';
--;
comment on column recovery.watch.activity is
    'Timestamptz expression: when the row last moved. Evaluated on candidates only, never indexed.';
--;
comment on column recovery.watch.timeout is 'Interval expression: the row''s own timeout, before any setting.';
--;
comment on column recovery.watch.kind is
    'Text expression: kind of the work, by which settings differ (bash, task); null: only wall_timeout and '
    'idle_timeout count.';
--;
comment on column recovery.watch.hold is
    'Boolean expression: the row waits for a human or for a point in time; its clock stands still.';
--;
comment on column recovery.watch.child is
    'Expression for the group that the row waits for (a subagent''s session), or null.';
--;
comment on column recovery.watch.cancel is 'What a timeout closes: the row, or its group with all descendants.';
--;
comment on column recovery.watch.supervised is
    'What was given to recovery.supervise; null: the watchdog looks at this watch only for wall_timeout and '
    'idle_timeout.';
--;
comment on column recovery.watch.spec is 'The registration as it was given, to tell a repeated one from another.';
--;
comment on column recovery.watch.path is
    'search_path under which the host''s triggers run in a closing: that of its writers.';
--;
comment on column recovery.watch.runner is
    'The runner of the table''s owner: it executes the expressions and the triggers.';
--;
comment on column recovery.watch.outbox is
    'Number of the view recovery.outbox_<n> through which the runner appends events of this family.';
--;
comment on column recovery.watch.own_column is
    'The column server_epoch was made by recovery.attach and goes with recovery.detach.';
--;
comment on column recovery.watch.canonical is
    'spec, and supervised under that name, with each expression as PostgreSQL prints it: equal means the same.';
--;
comment on column recovery.watch.uses is
    'What it uses and how that is called: [kind, object, part, name], see recovery._present_name. The routines of the '
    'watch have these names in them; when one has changed, recovery._follow_watch makes them anew.';
--;
comment on column recovery.watch.checked is
    'Rights, constraints and triggers of the table, as recovery._table_state prints them, when the watch was rehearsed '
    'last.';
--;
comment on column recovery.watch.attached is
    'When the table was attached; null: it is being attached or detached, and nothing is done about its rows.';
--;
comment on column recovery.watch.told is 'When an event last said that it is broken.';
--;
-- sql/follow/blind_watch.sql
create table recovery.blind_watch (
    watch text        not null,
    why   text        not null,
    since timestamptz not null default clock_timestamp(),
    constraint blind_watch_pkey primary key (watch, why)
);
--;
comment on table recovery.blind_watch is
    'Watches whose tables are written in a way that leaves no events: an event of kind gap has said so, and says when '
    'it is over.';
--;
comment on column recovery.blind_watch.watch is 'Name of the watch.';
--;
comment on column recovery.blind_watch.why is
    'triggers_disabled: one of our triggers is disabled or missing; replicated: a subscription writes the table, which '
    'fires no trigger.';
--;
comment on column recovery.blind_watch.since is 'When it was noticed.';
--;
-- sql/server/server.sql
create table recovery.server (
    epoch         bigint      not null,
    name          text        not null,
    host          text,
    pid           integer,
    process_start timestamptz,
    version       text,
    token         uuid        not null default gen_random_uuid(),
    lease         interval    not null,
    grace         interval    not null,
    booted        timestamptz not null default clock_timestamp(),
    heartbeat     timestamptz not null default clock_timestamp(),
    keeper        boolean     not null default false,
    beat          interval,
    suspected     timestamptz,
    looked_at     timestamptz,
    looked_beat   timestamptz,
    process_dead  timestamptz,
    process_seen  timestamptz,
    drain_until   timestamptz,
    pending       text,
    heir          bigint,
    ended         timestamptz,
    reason        text,
    constraint server_pkey primary key (epoch),
    -- Makes `ended` a key column, so that ending a server conflicts with a FOR KEY SHARE read of its
    -- row: that is how writers in REPEATABLE READ and SERIALIZABLE notice. Heartbeats stay HOT.
    constraint server_epoch_ended_key unique (epoch, ended),
    constraint server_lease_check check (lease > interval '0' and grace > interval '0' and grace <= lease),
    constraint server_ended_check check ((ended is null) = (reason is null))
) with (fillfactor = 50);
--;
create index server_name_live on recovery.server (name) where ended is null;
--;
comment on table recovery.server is 'One row for each boot of a server; the epoch is its fencing token.';
--;
comment on column recovery.server.epoch is 'Grows, is never reused: at least the microsecond clock at boot.';
--;
comment on column recovery.server.name is
    'Stable name of the server, e.g. api-1; a new boot supersedes older epochs of the same name.';
--;
comment on column recovery.server.host is 'Host the process runs on, as it said itself.';
--;
comment on column recovery.server.pid is 'Process id on that host.';
--;
comment on column recovery.server.process_start is
    'When that process started: tells it from a later one with the same pid.';
--;
comment on column recovery.server.version is 'Version of the application, for people.';
--;
comment on column recovery.server.token is
    'Random secret of this boot: a heartbeat must show it, so an epoch issued twice is noticed.';
--;
comment on column recovery.server.lease is 'How long the server counts as alive after its last heartbeat.';
--;
comment on column recovery.server.grace is 'How long a lost keeper connection is only a suspicion.';
--;
comment on column recovery.server.booted is 'When this epoch began.';
--;
comment on column recovery.server.heartbeat is
    'Last heartbeat by the database clock; not indexed, so that it stays HOT.';
--;
comment on column recovery.server.keeper is
    'Its keeper holds the session advisory lock -epoch: the absence of the lock means something.';
--;
comment on column recovery.server.beat is 'How often its keeper beats; null: it has not said.';
--;
comment on column recovery.server.suspected is 'When a sweep first missed that lock; a heartbeat clears it.';
--;
comment on column recovery.server.looked_at is
    'From when on the want of a beat counts: the last sweep before the one that first found it late, or that one '
    'itself if the database may have stood still in between.';
--;
comment on column recovery.server.looked_beat is 'The heartbeat that sweep found: a newer one makes it void.';
--;
comment on column recovery.server.process_dead is 'When a sweeper on its own host found the process dead.';
--;
comment on column recovery.server.process_seen is
    'When a sweeper on its own host last saw the process alive; not indexed, so that it stays HOT.';
--;
comment on column recovery.server.drain_until is
    'Drains: opens no new work, keeps what it owns until then, and is not superseded.';
--;
comment on column recovery.server.pending is
    'The reason with which it is to end, while a transaction still holds its row (a foreign key of the host does); it '
    'may not write any more, and its orphans are closed.';
--;
comment on column recovery.server.heir is 'Live epoch that takes over what it still owns.';
--;
comment on column recovery.server.ended is 'When the epoch ended; null while it may own work.';
--;
comment on column recovery.server.reason is
    'Why it ended: shutdown, superseded, lease_expired, connection_lost, process_dead, drain_expired, evicted or '
    'epoch_lost.';
--;
comment on constraint server_epoch_ended_key on recovery.server is
    'Makes ending a key update; see the fence in ARCHITECTURE.md.';
--;
comment on index recovery.server_name_live is 'Finds the live epochs of a name at boot.';
--;
-- sql/death/lifeless.sql
create table recovery.lifeless (
    watch     text        not null,
    key       text        not null,
    group_key text,
    run       text        not null,
    since     timestamptz not null,
    retry_at  timestamptz not null default '-infinity',
    constraint lifeless_pkey primary key (watch, key)
) with (fillfactor = 70);
--;
comment on table recovery.lifeless is
    'Open rows for which alive was false at the last look: one that it finds so for the first time is noted, and '
    'convicted once that has been so for alive_lease without a break. Written and pruned by the sweep.';
--;
comment on column recovery.lifeless.watch is 'Name of the watch.';
--;
comment on column recovery.lifeless.key is 'Key of the row, as in recovery.event.';
--;
comment on column recovery.lifeless.group_key is 'Its group.';
--;
comment on column recovery.lifeless.run is
    'Owner and start of the work: another run of the same row is noted anew.';
--;
comment on column recovery.lifeless.since is
    'First look that found it so; a look later than that, where so much time lay before it that nobody knows what '
    'happened in between.';
--;
comment on column recovery.lifeless.retry_at is 'It could not be closed: not tried again before.';
--;
-- sql/death/look.sql
create table recovery.look (
    watch      text        not null,
    postmaster timestamptz,
    timeline   text,
    since      timestamptz,
    at         timestamptz,
    gap        interval,
    mass_since timestamptz,
    because    text,
    constraint look_pkey primary key (watch)
) with (fillfactor = 50);
--;
comment on table recovery.look is
    'Since when sweepers have looked without a break at the rows of each watch that says what is alive: as '
    'recovery.observation for servers, of which there may be none.';
--;
comment on column recovery.look.watch is 'Name of the watch.';
--;
comment on column recovery.look.postmaster is 'Start of the PostgreSQL server at the last look.';
--;
comment on column recovery.look.timeline is 'Its timeline.';
--;
comment on column recovery.look.since is 'Looked at without a break since then.';
--;
comment on column recovery.look.at is 'The last look.';
--;
comment on column recovery.look.gap is 'The longest time between two of the last looks: what is usual here.';
--;
comment on column recovery.look.mass_since is 'Since when most open rows of the watch look dead.';
--;
comment on column recovery.look.because is 'Why looking began anew.';
--;
-- sql/death/observation.sql
create table recovery.observation (
    one           boolean     not null default true,
    postmaster    timestamptz,
    timeline      text,
    since         timestamptz,
    swept         timestamptz,
    gap           interval,
    mass_since    timestamptz,
    because       text,
    asked         timestamptz,
    asked_gap     interval,
    sweeper       bigint,
    sweeper_every interval,
    constraint observation_pkey primary key (one),
    constraint observation_one_check check (one)
) with (fillfactor = 50);
--;
insert into recovery.observation default values;
--;
comment on table recovery.observation is
    'Since when sweepers have watched without a break. Silence means death only after a full lease of watching: a '
    'dead database, or sweepers that slept, are not dead servers.';
--;
comment on column recovery.observation.one is 'There is one row.';
--;
comment on column recovery.observation.postmaster is 'Start of the PostgreSQL server that was seen last.';
--;
comment on column recovery.observation.timeline is 'Its timeline.';
--;
comment on column recovery.observation.since is 'Watching without a break since then.';
--;
comment on column recovery.observation.swept is 'Last sweep of anybody.';
--;
comment on column recovery.observation.gap is 'Time between the last two sweeps: what is usual here.';
--;
comment on column recovery.observation.mass_since is 'Since when most servers look dead at once.';
--;
comment on column recovery.observation.because is 'Why watching began anew.';
--;
comment on column recovery.observation.asked is
    'When a server that stands by last asked whether to sweep: it watches, too.';
--;
comment on column recovery.observation.asked_gap is
    'The longest time without anybody looking that such a question has ended since the last sweep.';
--;
comment on column recovery.observation.sweeper is
    'Epoch of the server that sweeps for all; others stand by, see recovery.claim_sweep.';
--;
comment on column recovery.observation.sweeper_every is 'How often it sweeps.';
--;
-- sql/closing/failure.sql
create table recovery.failure (
    watch        text        not null,
    key          text        not null,
    key_parts    text[]      not null,
    server_epoch bigint,
    attempts     integer     not null default 1,
    first_at     timestamptz not null default clock_timestamp(),
    last_at      timestamptz not null default clock_timestamp(),
    next_at      timestamptz not null,
    sqlstate     text        not null,
    message      text        not null,
    constraint failure_pkey primary key (watch, key)
);
--;
comment on table recovery.failure is
    'Orphans that could not be closed, with the error; retried with backoff, shown by status.';
--;
comment on column recovery.failure.watch is 'Name of the watch.';
--;
comment on column recovery.failure.key is 'Key of the row, as in recovery.event.';
--;
comment on column recovery.failure.key_parts is 'Its primary key columns as text.';
--;
comment on column recovery.failure.server_epoch is 'The ended epoch that owns the row.';
--;
comment on column recovery.failure.attempts is 'How often it was tried.';
--;
comment on column recovery.failure.first_at is 'First failure.';
--;
comment on column recovery.failure.last_at is 'Last failure.';
--;
comment on column recovery.failure.next_at is 'Not tried again before.';
--;
comment on column recovery.failure.sqlstate is 'SQLSTATE of the last error.';
--;
comment on column recovery.failure.message is 'Message of the last error.';
--;
-- sql/closing/sweep_run.sql
create table recovery.sweep_run (
    label    text        not null,
    at       timestamptz not null,
    took     interval    not null,
    report   jsonb       not null,
    constraint sweep_run_pkey primary key (label)
) with (fillfactor = 50);
--;
comment on table recovery.sweep_run is 'Last sweep of each sweeper.';
--;
comment on column recovery.sweep_run.label is 'Who swept: a server name, or the role that called.';
--;
comment on column recovery.sweep_run.at is 'When it finished.';
--;
comment on column recovery.sweep_run.took is 'How long it took.';
--;
comment on column recovery.sweep_run.report is 'What it did, as recovery.sweep returned it.';
--;
-- sql/fuse/fuse.sql
create table recovery.fuse (
    id            bigint      generated always as identity,
    family        text        not null,
    scope         text        not null,
    watch         text        not null,
    key           text        not null,
    host          text,
    pid           integer,
    process_start timestamptz,
    ttl           interval    not null,
    lit           timestamptz not null default clock_timestamp(),
    expires       timestamptz not null,
    looked_at     timestamptz,
    process_dead  timestamptz,
    process_seen  timestamptz,
    retry_at      timestamptz not null default '-infinity',
    nonce         uuid,
    constraint fuse_pkey primary key (id),
    constraint fuse_nonce_key unique (nonce),
    constraint fuse_scope_check check (scope in ('row', 'group')),
    constraint fuse_ttl_check check (ttl > interval '0')
) with (fillfactor = 70);
--;
create index fuse_unit on recovery.fuse (family, scope, key, watch);
--;
comment on table recovery.fuse is
    'A lease on one unit of work (a row or a group), which may have several. While one is active and its process is '
    'not known dead, the unit is kept although its server has ended; when the last burns out or its process dies, '
    'the unit is closed. Made by recovery.light_fuse, moved by recovery.extend_fuse, removed by recovery.cancel_fuse.';
--;
comment on column recovery.fuse.id is 'Number of the fuse.';
--;
comment on column recovery.fuse.family is 'Family of the watch.';
--;
comment on column recovery.fuse.scope is 'row or group.';
--;
comment on column recovery.fuse.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.fuse.key is 'Key of the row, or of the group.';
--;
comment on column recovery.fuse.host is 'Host of the process.';
--;
comment on column recovery.fuse.pid is 'The process that does the work; a fuse without one guards nothing.';
--;
comment on column recovery.fuse.process_start is
    'When the process started: tells it from a later one with the same pid.';
--;
comment on column recovery.fuse.ttl is 'How long it burns after lit or extended, unless told otherwise.';
--;
comment on column recovery.fuse.lit is 'When it was lit.';
--;
comment on column recovery.fuse.expires is
    'Until then it burns in any case; not indexed, so that extending stays HOT. See recovery.fuse_state.';
--;
comment on column recovery.fuse.looked_at is
    'When a sweep found it late, if the database may have stood still until just then; -infinity: it had not. Null: '
    'not late.';
--;
comment on column recovery.fuse.retry_at is
    'It has burnt out and its unit could not be closed: not tried again before.';
--;
comment on column recovery.fuse.process_dead is 'When a sweeper on its host found the process dead.';
--;
comment on column recovery.fuse.process_seen is
    'When a sweeper on its host last saw the process alive; not indexed, so that it stays HOT.';
--;
comment on column recovery.fuse.nonce is 'Drawn by whoever lit it, so that a repeated call makes no second fuse.';
--;
comment on constraint fuse_nonce_key on recovery.fuse is 'One fuse for each nonce; nulls are distinct.';
--;
comment on index recovery.fuse_unit is
    'Finds the fuses of a unit: the guards of a row. The watch comes last, because a group is found without it.';
--;
-- sql/process/process.sql
create table recovery.process (
    id            bigint      generated always as identity,
    server_epoch  bigint      not null,
    family        text        not null,
    scope         text        not null,
    watch         text        not null,
    key           text        not null,
    host          text        not null,
    pid           integer     not null,
    process_start timestamptz not null,
    registered    timestamptz not null default clock_timestamp(),
    constraint process_pkey primary key (id),
    constraint process_scope_check check (scope in ('row', 'group')),
    constraint process_pid_check check (pid > 1)
);
--;
-- A group is one whatever watch it was named through.
create unique index process_unit_key on recovery.process (
    server_epoch, family, scope, key, (case scope when 'row' then watch end), host, pid, process_start
) nulls not distinct;
--;
comment on table recovery.process is
    'The processes (leaders of a process group) that do units of work for servers: what outlives its server is found '
    'here and stopped. Made by recovery.track_process, removed by recovery.untrack_process.';
--;
comment on column recovery.process.id is 'Number of the entry; recovery.untrack_process takes it.';
--;
comment on column recovery.process.server_epoch is 'The epoch that started the process.';
--;
comment on column recovery.process.family is 'Family of the watch.';
--;
comment on column recovery.process.scope is 'row or group.';
--;
comment on column recovery.process.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.process.key is 'Key of the row, or of the group.';
--;
comment on column recovery.process.host is 'Host of the process.';
--;
comment on column recovery.process.pid is 'Process id on that host; the id of its group if it leads one.';
--;
comment on column recovery.process.process_start is
    'When the process started: tells it from a later one with the same pid.';
--;
comment on column recovery.process.registered is 'When it was registered.';
--;
comment on index recovery.process_unit_key is 'One entry for each process of a unit, of an epoch.';
--;
-- sql/event/consumer.sql
create table recovery.consumer (
    name        text               not null,
    wanted      recovery.event_filter,
    newest      bigint             not null,
    gaps        int8multirange     not null default '{}',
    page        bigint             not null default 0,
    page_last   bigint,
    page_newest bigint,
    page_gaps   int8multirange,
    expires     interval           not null,
    created     timestamptz        not null default clock_timestamp(),
    seen        timestamptz        not null default clock_timestamp(),
    constraint consumer_pkey primary key (name)
) with (fillfactor = 50);
--;
comment on table recovery.consumer is
    'Named consumers of the events and how far each has come. An event counts as delivered up to newest, except in '
    'the gaps.';
--;
comment on column recovery.consumer.name is 'Given by recovery.create_consumer().';
--;
comment on column recovery.consumer.wanted is 'Which events it gets.';
--;
comment on column recovery.consumer.newest is 'Every event that was visible up to here is done.';
--;
comment on column recovery.consumer.gaps is
    'Ids up to newest that were not visible: of transactions that ran, or were rolled back. What appears here still '
    'comes.';
--;
comment on column recovery.consumer.page is 'Number of the last fetch, never given out again: only its receipts count.';
--;
comment on column recovery.consumer.page_last is 'The last event of that fetch; null if there was none.';
--;
comment on column recovery.consumer.page_newest is 'Where newest will be once the last fetch is acknowledged.';
--;
comment on column recovery.consumer.page_gaps is 'The gaps then.';
--;
comment on column recovery.consumer.expires is
    'Once it has not fetched for so long it counts as abandoned, and no longer keeps events from being dropped.';
--;
comment on column recovery.consumer.created is 'When it was created.';
--;
comment on column recovery.consumer.seen is 'Its last fetch or acknowledgement, to the minute.';
--;
-- sql/event/event_floor.sql
create table recovery.event_floor (
    single boolean not null default true,
    id     bigint  not null default 0,
    at     timestamptz,
    looked timestamptz not null default '-infinity',
    constraint event_floor_pkey primary key (single),
    constraint event_floor_single_check check (single)
);
--;
insert into recovery.event_floor default values;
--;
comment on table recovery.event_floor is 'Up to which id events were dropped because of their age or number: one row.';
--;
comment on column recovery.event_floor.single is 'True: there is one row.';
--;
comment on column recovery.event_floor.id is 'No event with an id up to here is kept.';
--;
comment on column recovery.event_floor.at is 'When it was last raised.';
--;
comment on column recovery.event_floor.looked is 'When a sweep last looked for what is too old.';
--;
-- sql/event/event_mark.sql
create table recovery.event_mark (
    xid xid8        not null,
    id  bigint      not null,
    at  timestamptz not null default clock_timestamp(),
    constraint event_mark_pkey primary key (xid)
);
--;
comment on table recovery.event_mark is
    'Where the ids of events stood when a transaction got its id: whoever had taken one up to there has an older '
    'transaction id. Once none of those runs any more, no event can appear up to there: recovery._settled().';
--;
comment on column recovery.event_mark.xid is 'Taken after the id was looked up.';
--;
comment on column recovery.event_mark.id is 'The last id of an event that had been given out.';
--;
comment on column recovery.event_mark.at is 'When.';
--;
-- sql/event/outbox.sql
/* The outbox: what transactions have to tell, written by them. One row, a record, holds one event, or up to 100
   closings of one batch that differ in nothing but their key and group: what is the same for all is stored once.

   Ids of records are multiples of 100, so that the events in a record have ids of their own, in a row: see
   recovery.event. What a record may hold is checked by the views through which writers append, outbox_1 and so on: a
   constraint is read anew from the catalog by every statement, which costs half as much as the whole INSERT.

   A writer takes its id after its transaction has an id (pg_current_xact_id), which is what
   recovery._settled() relies on.

   The partitions are a ring of four, made ahead, once and for all; each takes two billion ids in turn. Nothing is ever
   created or dropped while somebody writes, for either would lock out the writers: recovery._retain_events() empties
   the partition that nobody writes any more. If ids come round to one that could not be emptied, it holds both.

   Which partition is a column of its own: an expression of the id as the partition key would be planned anew by every
   INSERT. Its default is evaluated after that of the id, as columns are in their order. */
create table recovery.outbox (
    id           bigint      generated always as identity (start with 100 increment by 100),
    at           timestamptz not null default clock_timestamp(),
    server_epoch bigint,
    watch        text        not null,
    kind         text        not null,
    topic        text,
    key          text,
    group_key    text,
    reason       text,
    detector     text        not null,
    old          jsonb,
    new          jsonb,
    keys         text[],
    group_keys   text[],
    slot         smallint    not null
) partition by list (slot);
--;
alter table recovery.outbox alter column slot set default currval('recovery.outbox_id_seq') / 2000000000 % 4;
--;
create index outbox_id on recovery.outbox (id);
--;
do $$
begin
    for v_slot in 0 .. 3 loop
        -- Records of many keys stay in one piece.
        execute format(
            'create table recovery.outbox_slot_%s partition of recovery.outbox for values in (%s) '
            'with (toast_tuple_target = 8160)', v_slot, v_slot);
        execute format('comment on table recovery.outbox_slot_%s is %L', v_slot,
            'Events whose id, divided by two billion, leaves the rest ' || v_slot || ' modulo 4.');
    end loop;
end
$$;
--;
comment on table recovery.outbox is
    'What recovery.event shows: events as they are stored, up to 100 in a record. Append-only; written in the '
    'transaction of the change, emptied by the sweep.';
--;
comment on column recovery.outbox.id is 'Of the first event in the record; a multiple of 100.';
--;
comment on column recovery.outbox.at is 'As in recovery.event.';
--;
comment on column recovery.outbox.server_epoch is 'As in recovery.event.';
--;
comment on column recovery.outbox.watch is 'As in recovery.event.';
--;
comment on column recovery.outbox.kind is 'As in recovery.event.';
--;
comment on column recovery.outbox.topic is 'As in recovery.event.';
--;
comment on column recovery.outbox.key is 'As in recovery.event; null if there are keys.';
--;
comment on column recovery.outbox.group_key is 'As in recovery.event; null if there are keys.';
--;
comment on column recovery.outbox.reason is 'As in recovery.event.';
--;
comment on column recovery.outbox.detector is 'As in recovery.event.';
--;
comment on column recovery.outbox.old is 'As in recovery.event.';
--;
comment on column recovery.outbox.new is 'As in recovery.event.';
--;
comment on column recovery.outbox.keys is 'Keys of the events of a record of several, in their order.';
--;
comment on column recovery.outbox.group_keys is 'Their groups; null if none has one.';
--;
comment on column recovery.outbox.slot is 'The partition: the id, divided by two billion, modulo 4.';
--;
-- NOTIFY takes one lock for the whole cluster at commit, so ordinary writes ring at most every 50 ms.
-- Sequences hold when it last rang and up to which event, because they are neither locked nor rolled back.
create sequence recovery.bell_time as bigint minvalue 0 start 0;
--;
create sequence recovery.bell_event as bigint minvalue 0 start 0;
--;
comment on sequence recovery.bell_time is 'Milliseconds since 1970 of the last NOTIFY.';
--;
comment on sequence recovery.bell_event is
    'Up to this event id a closing, a heartbeat or a sweep has rung; a write''s own ring does not count, it may be '
    'rolled back.';
--;
-- sql/watchdog/cancellation.sql
create table recovery.cancellation (
    id           bigint      generated always as identity,
    family       text        not null,
    scope        text        not null,
    watch        text        not null,
    key          text        not null,
    server_epoch bigint,
    reason       text        not null,
    detail       jsonb,
    requested    timestamptz not null default clock_timestamp(),
    deadline     timestamptz not null,
    constraint cancellation_pkey primary key (id),
    constraint cancellation_scope_check check (scope in ('row', 'group'))
);
--;
-- A group is one whatever watch it was named through.
create unique index cancellation_unit_key on recovery.cancellation
    (family, scope, key, (case scope when 'row' then watch end)) nulls not distinct;
--;
comment on table recovery.cancellation is
    'Live owners that were asked to stop a unit of work that is overdue. An acknowledgement closes it at once, '
    'the deadline without one.';
--;
comment on column recovery.cancellation.id is 'Number of the request; recovery.acknowledge_cancellation takes it.';
--;
comment on column recovery.cancellation.family is 'Family of the watch.';
--;
comment on column recovery.cancellation.scope is 'row or group.';
--;
comment on column recovery.cancellation.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.cancellation.key is 'Key of the row, or of the group.';
--;
comment on column recovery.cancellation.server_epoch is 'Who is asked; null: nobody owns it.';
--;
comment on column recovery.cancellation.reason is 'tool_timeout, task_timeout, idle_timeout, wall_timeout.';
--;
comment on column recovery.cancellation.detail is
    'row: key of the overdue row, kind: its kind, limit: the timeout in words, since: when its clock began.';
--;
comment on column recovery.cancellation.requested is 'When it was asked.';
--;
comment on column recovery.cancellation.deadline is 'Closed anyway after that.';
--;
comment on index recovery.cancellation_unit_key is 'One request for each unit.';
--;
-- sql/watchdog/setting.sql
create table recovery.setting (
    name       text        not null,
    watch      text        not null default '',
    kind       text        not null default '',
    group_key  text        not null default '',
    value      text        not null,
    changed_at timestamptz not null default clock_timestamp(),
    changed_by text        not null default session_user,
    constraint setting_pkey primary key (name, watch, kind, group_key),
    -- Whoever writes past recovery.configure: one that is no interval would switch off the watchdog.
    constraint setting_value_check check (value in ('off', 'true', 'false') or value::interval is not null)
);
--;
comment on table recovery.setting is
    'Settings that differ from the built-in defaults: for everything, or only for a watch, a kind of '
    'work, a group. Written by recovery.configure, read by recovery.get_setting; every sweep reads them again.';
--;
comment on column recovery.setting.name is 'Which setting, as recovery.setting_status lists them.';
--;
comment on column recovery.setting.watch is 'Only for this watch; empty: for all.';
--;
comment on column recovery.setting.kind is 'Only for this kind of work; empty: for all.';
--;
comment on column recovery.setting.group_key is 'Only for this group (session); empty: for all.';
--;
comment on column recovery.setting.value is
    'Normalised: an interval as PostgreSQL prints it, off for no limit, true or false.';
--;
comment on column recovery.setting.changed_at is 'When it got this value.';
--;
comment on column recovery.setting.changed_by is 'Role that gave it this value.';
--;
-- sql/watchdog/touch.table.sql
create table recovery.touch (
    family   text        not null,
    scope    text        not null,
    watch    text        not null,
    key      text        not null,
    at       timestamptz,
    child_at timestamptz,
    constraint touch_pkey primary key (family, scope, key, watch),
    constraint touch_scope_check check (scope in ('row', 'group'))
) with (fillfactor = 50);
--;
comment on table recovery.touch is
    'Signs of life that the watched rows themselves do not show: streaming text, silent commands. Written by '
    'recovery.touch; only the key is indexed, so that a touch stays HOT. A group has one for each watch through which '
    'it was touched: the latest counts.';
--;
comment on column recovery.touch.family is 'Family of the watch.';
--;
comment on column recovery.touch.scope is 'row or group.';
--;
comment on column recovery.touch.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.touch.key is 'Key of the row, or of the group.';
--;
comment on column recovery.touch.at is 'Last touch.';
--;
comment on column recovery.touch.child_at is 'When a sweep last saw open work in the group that the row waits for.';
--;
-- sql/webhook/webhook.sql
create table recovery.webhook (
    name           text        not null,
    url            text        not null,
    secrets        text[]      not null,
    allow          cidr[]      not null default '{}',
    order_by       text        not null default 'row',
    timeout        interval    not null default '15 seconds',
    max_body       integer     not null default 65536,
    max_attempts   integer     not null default 10,
    backoff        interval    not null default '5 seconds',
    max_backoff    interval    not null default '12 hours',
    concurrency    integer     not null default 8,
    keep           interval    not null default '30 days',
    created        timestamptz not null default clock_timestamp(),
    paused         timestamptz,
    paused_because text,
    failures       integer     not null default 0,
    tried          timestamptz,
    delivered      timestamptz,
    error          text,
    constraint webhook_pkey primary key (name),
    constraint webhook_order_check check (order_by in ('row', 'group'))
);
--;
comment on table recovery.webhook is
    'Where events are sent by HTTP. Each is a consumer of its own, webhook:<name>, which holds its filters and its '
    'position. Written by recovery.add_webhook and its neighbours only; recovery.webhook_status shows all but the '
    'secrets.';
--;
comment on column recovery.webhook.name is 'Name of the webhook.';
--;
comment on column recovery.webhook.url is
    'Where events are sent. It holds no user or password, since everybody may see it.';
--;
comment on column recovery.webhook.secrets is
    'What deliveries are signed with, newest first: each signs, so that a receiver may know any of them. For '
    'recovery.webhook_target alone.';
--;
comment on column recovery.webhook.allow is
    'Networks that may be reached though they are private, and without TLS.';
--;
comment on column recovery.webhook.order_by is
    'row: events of one row one after the other; group: those of one group (session), too.';
--;
comment on column recovery.webhook.timeout is
    'For one attempt as a whole: to find the address, to connect, to send, to hear the answer.';
--;
comment on column recovery.webhook.max_body is
    'Bytes of a body at most; values of a longer one are left out, with a mark.';
--;
comment on column recovery.webhook.max_attempts is 'After so many an event is a dead letter.';
--;
comment on column recovery.webhook.backoff is 'Pause after the first failure; each further one is four times as long.';
--;
comment on column recovery.webhook.max_backoff is 'And this at most.';
--;
comment on column recovery.webhook.concurrency is 'Deliveries under way at the same time, at most.';
--;
comment on column recovery.webhook.keep is 'How long dead letters are kept; what was delivered, at most a day.';
--;
comment on column recovery.webhook.created is 'When it was added.';
--;
comment on column recovery.webhook.paused is 'Since when nothing is sent; null: it is not paused.';
--;
comment on column recovery.webhook.paused_because is 'Why it was paused.';
--;
comment on column recovery.webhook.failures is
    'Attempts in a row that found the receiver down: no connection, no answer in time, 429 or 5xx.';
--;
comment on column recovery.webhook.tried is 'When the last attempt ended.';
--;
comment on column recovery.webhook.delivered is 'When the receiver last took an event.';
--;
comment on column recovery.webhook.error is 'What the last failure was; null once the receiver has taken an event.';
--;
-- sql/webhook/webhook_delivery.sql
create table recovery.webhook_delivery (
    webhook  text        not null,
    event    bigint      not null,
    watch    text        not null,
    kind     text        not null,
    key      text        not null,
    lane     text,
    body     jsonb       not null,
    state    text        not null default 'waiting',
    attempts integer     not null default 0,
    next_at  timestamptz not null,
    claim    uuid,
    status   integer,
    error    text,
    took     interval,
    tried    timestamptz,
    done     timestamptz,
    constraint webhook_delivery_pkey primary key (webhook, event),
    constraint webhook_delivery_webhook_fkey foreign key (webhook) references recovery.webhook (name)
        on delete cascade,
    constraint webhook_delivery_state_check check (state in ('waiting', 'pending', 'delivered', 'dead'))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
--;
-- Only the first unfinished delivery of a row (or group) is pending, so what is searched for work holds no delivery
-- that could not be sent, however many wait behind one that fails.
create index webhook_delivery_due on recovery.webhook_delivery (webhook, next_at, event) where state = 'pending';
--;
create index webhook_delivery_row on recovery.webhook_delivery (webhook, watch, key, event)
    where state in ('waiting', 'pending');
--;
create index webhook_delivery_lane on recovery.webhook_delivery (webhook, lane, event)
    where state in ('waiting', 'pending') and lane is not null;
--;
create index webhook_delivery_done on recovery.webhook_delivery (webhook, state, done)
    where state in ('delivered', 'dead');
--;
comment on table recovery.webhook_delivery is
    'One event for one webhook: copied here, and acknowledged, in one transaction by recovery.collect_deliveries; sent '
    'until the receiver has taken it or it is a dead letter; pruned by recovery.prune_deliveries.';
--;
comment on column recovery.webhook_delivery.webhook is 'Name of the webhook.';
--;
comment on column recovery.webhook_delivery.event is 'Id of the event.';
--;
comment on column recovery.webhook_delivery.watch is 'Watch of the event.';
--;
comment on column recovery.webhook_delivery.kind is 'Kind of the event.';
--;
comment on column recovery.webhook_delivery.key is
    'Key of the event: of two with the same watch and key the later one waits for the earlier one.';
--;
comment on column recovery.webhook_delivery.lane is
    'Group of the event, if the webhook is ordered by group: of two in one group the later one waits, too.';
--;
comment on column recovery.webhook_delivery.body is 'The event, as it is sent.';
--;
comment on column recovery.webhook_delivery.state is
    'waiting (for an earlier one of its row or group), pending, delivered, dead (given up).';
--;
comment on column recovery.webhook_delivery.attempts is 'How often it was sent, or was about to be.';
--;
comment on column recovery.webhook_delivery.next_at is
    'When it may be sent (again). While it is under way: when its dispatcher counts as dead.';
--;
comment on column recovery.webhook_delivery.claim is 'Who sends it at the moment.';
--;
comment on column recovery.webhook_delivery.status is 'HTTP status of the last answer; null: there was none.';
--;
comment on column recovery.webhook_delivery.error is 'What went wrong in the last attempt.';
--;
comment on column recovery.webhook_delivery.took is 'How long the last attempt took.';
--;
comment on column recovery.webhook_delivery.tried is 'When the last attempt ended.';
--;
comment on column recovery.webhook_delivery.done is 'When it was delivered, or given up.';
--;
comment on index recovery.webhook_delivery_due is 'What is to be sent next.';
--;
comment on index recovery.webhook_delivery_row is 'Who waits for whom, by row.';
--;
comment on index recovery.webhook_delivery_lane is 'Who waits for whom, by group.';
--;
comment on index recovery.webhook_delivery_done is 'Dead letters, and what can be pruned.';
--;
-- sql/setup/_database_number.sql
create or replace function recovery._database_number()
returns bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select abs(hashtextextended(concat(c.system_identifier, '/', d.oid), 0) % 1000)
    from pg_control_system() as c join pg_database as d on d.datname = current_database()
$$;
--;
comment on function recovery._database_number() is
    'The last three digits of every epoch that this database issues: a publisher and its subscribers do not issue the '
    'same, and a physical copy that became a database of its own knows which are not its own.';
--;
revoke all on function recovery._database_number() from public;
--;
-- sql/setup/_fail.sql
create or replace function recovery._fail(p_code text, p_message text, p_hint text default null)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_hint is null then
        raise exception using errcode = p_code, message = p_message;
    end if;
    raise exception using errcode = p_code, message = p_message, hint = p_hint;
end
$$;
--;
comment on function recovery._fail(text, text, text) is
    'Raises an error of class RC; the codes stand in ARCHITECTURE.md.';
--;
revoke all on function recovery._fail(text, text, text) from public;
--;
-- sql/setup/_issued_here.sql
create or replace function recovery._issued_here(p_epoch bigint)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from recovery.server as s
        where s.epoch = abs(p_epoch) and s.epoch % 1000 = recovery._database_number()
            and s.reason is distinct from 'epoch_lost')
$$;
--;
comment on function recovery._issued_here(bigint) is
    'Whether a server of this database booted with the epoch. One that was booked as lost, or came with a copy of '
    'another database, is not of here.';
--;
revoke all on function recovery._issued_here(bigint) from public;
--;
-- sql/setup/_next_epoch.sql
create or replace function recovery._next_epoch()
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- The first number from there on that ends as this database's do.
    select n.least + (recovery._database_number() - n.least % 1000 + 1000) % 1000
    from (select greatest((date_part('epoch', clock_timestamp()) * 1000000)::bigint, max(s.epoch) + 1) as least
        from recovery.server as s) as n
$$;
--;
comment on function recovery._next_epoch() is
    'The next epoch: above all others, at least the microsecond clock (so that a failover cannot make it issue one '
    'again), ending with recovery._database_number().';
--;
revoke all on function recovery._next_epoch() from public;
--;
-- sql/setup/_now.sql
create or replace function recovery._now()
returns timestamptz
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select clock_timestamp() + c.shift from recovery.clock as c
$$;
--;
comment on function recovery._now() is
    'The clock by which leases, fuses and timeouts are judged: the database clock, moved by recovery.clock in tests.';
--;
revoke all on function recovery._now() from public;
--;
-- sql/setup/_render_sql.sql
create or replace function recovery._render_sql(p_template text, p_holes jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* {relation} is replaced by the value of that name as it is, {watch!l} by a literal, {column!i} by an identifier.
   Values are inserted and not looked at: expressions of a host may hold braces. Any other brace stays.

   A template that begins with a line break may be indented like the code around it: the indentation of its last
   line, which holds nothing else, is taken from all its lines. A line that holds nothing but one hole goes away
   where the value is empty. */
declare
    v_indent   text := E'\n' || repeat(' ', length(p_template) - length(rtrim(p_template, ' ')));
    v_template text := case when p_template like E'\n%' || v_indent
        then substr(replace(left(p_template, - length(v_indent)), v_indent, E'\n'), 2) else p_template end;
    v_parts    text[] := string_to_array(v_template, '{');
    v_text     text := coalesce(v_parts[1], '');
    v_used     text[] := '{}';
    v_part     text;
    v_hole     text;
    v_name     text;
    v_value    text;
    v_rest     text;
begin
    foreach v_part in array v_parts[2:] loop
        v_name := split_part(v_part, '}', 1);
        v_hole := v_name;
        v_value := p_holes ->> v_name;
        if v_value is null and v_part ~ '^[a-z_]+(![a-z]*)?\}' then
            v_name := split_part(v_hole, '!', 1);
            if p_holes ? v_name then
                v_value := case right(v_hole, 2)
                    when '!l' then quote_nullable(p_holes ->> v_name)
                    when '!i' then quote_ident(p_holes ->> v_name) end;
            end if;
            if v_value is null then
                raise exception 'hole {%} of a template has no value, or no such form', v_hole;
            end if;
        elsif v_value is null or v_hole = v_part then
            v_text := v_text || '{' || v_part;
            continue;
        end if;
        v_used := v_used || v_name;
        v_rest := substr(v_part, length(v_hole) + 2);
        if v_value = '' and (v_rest = '' or left(v_rest, 1) = E'\n') and right(rtrim(v_text, ' '), 1) = E'\n' then
            v_text := rtrim(v_text, ' ');
            v_rest := substr(v_rest, 2);
        end if;
        v_text := v_text || v_value || v_rest;
    end loop;
    if p_holes - v_used <> '{}' then
        raise exception 'a template has no hole for %',
            (select string_agg(k, ', ') from jsonb_object_keys(p_holes - v_used) as k);
    end if;
    return v_text;
end
$$;
--;
comment on function recovery._render_sql(text, jsonb) is
    'Fills the named holes of a template of SQL: {a} as it is, {a!l} as a literal, {a!i} as an identifier. '
    'Fails on a hole without a value and on a value without a hole.';
--;
revoke all on function recovery._render_sql(text, jsonb) from public;
--;
-- sql/setup/_stay_local.sql
create or replace function recovery._stay_local()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Only what a worker of a subscription writes: a restore may well set session_replication_role, too.
    if exists (select from pg_stat_get_subscription(null) as s where s.pid = pg_backend_pid()) then
        return null;
    elsif tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
--;
comment on function recovery._stay_local() is
    'Trigger function of all our own tables, fires for replicated rows only: a publication FOR ALL TABLES brings the '
    'publisher''s servers, fuses and watches, which mean nothing here (its locks, processes and oids are elsewhere), '
    'and drops them.';
--;
revoke all on function recovery._stay_local() from public;
--;
-- sql/setup/_to_texts.sql
create or replace function recovery._to_texts(p_array jsonb)
returns text[]
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(p_array) = 'array'
        then array(select e.text from jsonb_array_elements_text(p_array) with ordinality as e (text, n)
            order by e.n) end
$$;
--;
comment on function recovery._to_texts(jsonb) is 'A json array as text[]; null if it is none.';
--;
revoke all on function recovery._to_texts(jsonb) from public;
--;
-- sql/setup/timeline.sql
create or replace function recovery.timeline()
returns text
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end
$$;
--;
comment on function recovery.timeline() is
    'Timeline of the database; another one after each failover. Null on a standby.';
--;
revoke all on function recovery.timeline() from public;
--;
-- sql/setup/version.sql
create or replace function recovery.version()
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select '0.1.0'::text
$$;
--;
comment on function recovery.version() is 'Version of this schema; clients compare it with the one they were made for.';
--;
revoke all on function recovery.version() from public;
--;
-- sql/rights/_lacks_loan.sql
create or replace function recovery._lacks_loan(p_table regclass)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- As recovery._lend_table grants it.
    select exists (
        select from pg_class as t
        join recovery.runner as n on n.owner = t.relowner and n.privileged
        join pg_class as c on c.relnamespace = t.relnamespace and c.relowner = t.relowner
            and c.relkind in ('r', 'p', 'v')
        where t.oid = p_table and not has_table_privilege(n.role, c.oid, 'insert')
          and not c.relispartition  -- written by way of its parent
          and exists (select from pg_trigger as g where not g.tgisinternal
              and (g.tgrelid = t.oid or g.tgrelid in (select p.relation from recovery._partitions_of(t.oid) as p))
              and g.tgname !~ '^(zz_)?recovery_[0-9]{2}_'))
$$;
--;
comment on function recovery._lacks_loan(regclass) is
    'Whether a superuser''s table got triggers after it was attached: what they may write has not been lent to the '
    'runner yet.';
--;
revoke all on function recovery._lacks_loan(regclass) from public;
--;
-- sql/rights/_lacks_runner.sql
create or replace function recovery._lacks_runner(p_runner recovery.runner)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from pg_roles as r
        join pg_proc as f on f.proowner = r.oid
        where r.rolname = p_runner.role and f.pronamespace = 'recovery_private'::regnamespace
            and f.proname = format('run_%s', p_runner.id) and f.prosecdef
            and pg_has_role(r.oid, 'recovery_runner', 'member')
            and (p_runner.privileged or pg_has_role(r.oid, p_runner.owner, 'usage')))
$$;
--;
comment on function recovery._lacks_runner(recovery.runner) is
    'Whether a runner is not what recovery.permit has made: the role, its memberships, or its function are gone.';
--;
revoke all on function recovery._lacks_runner(recovery.runner) from public;
--;
-- sql/rights/_lend_table.sql
create or replace function recovery._lend_table(p_table regclass, p_role name)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other record;
begin
    execute format('grant usage on schema %s to %I',
        (select c.relnamespace::regnamespace from pg_class as c where c.oid = p_table), p_role);
    -- The table; and where it has triggers or rules of its own, what these may need of the same owner in the same
    -- schema.
    for v_other in
        select c.oid::regclass as name, c.relkind
        from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace and c.relowner = t.relowner
            and c.relkind in ('r', 'p', 'v', 'S')
        where t.oid = p_table
          and (c.oid = t.oid
               or exists (select from pg_trigger as g where not g.tgisinternal
                   and (g.tgrelid = t.oid or g.tgrelid in (select p.relation from recovery._partitions_of(t.oid) as p))
                   and g.tgname !~ '^(zz_)?recovery_[0-9]{2}_')
               or exists (select from pg_rewrite as r where r.ev_class = t.oid))
    loop
        execute format('grant %s %s to %I',
            case v_other.relkind when 'S' then 'usage on sequence' else 'select, insert, update, delete on table' end,
            v_other.name, p_role);
    end loop;
end
$$;
--;
comment on function recovery._lend_table(regclass, name) is
    'Grants a runner what it needs of a table whose owner is a superuser or belongs to recovery_owner: there it '
    'cannot be a member.';
--;
revoke all on function recovery._lend_table(regclass, name) from public;
--;
-- sql/rights/_make_runner.sql
create or replace function recovery._make_runner(p_owner regrole)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner;
    v_owner  text;
    v_tag    text;
    v_given  boolean;
    v_new    boolean := current_setting('server_version_num')::integer >= 160000;  -- a membership says what it is for
    v_set    text := case when v_new then 'set' else 'member' end;
begin
    if not exists (select from pg_roles as r where r.oid = p_owner) then
        perform recovery._fail('RC010', format('role %s does not exist', coalesce(p_owner::text, 'null')),
            'Give the role that owns the tables.');
    end if;
    select r.rolname into v_owner from pg_roles as r where r.oid = p_owner;
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    update recovery.runner as r
    set privileged = o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')
    from pg_roles as o where r.owner = p_owner and o.oid = p_owner returning r.* into v_runner;
    if not found then
        v_tag := case when octet_length(v_owner) <= 40 then v_owner
                      else left(v_owner, 16) || '_' || left(md5(v_owner), 16) end;
        insert into recovery.runner (owner, role, privileged)
        select p_owner, 'recovery_runner_' || v_tag, r.rolsuper or pg_has_role(r.oid, 'recovery_owner', 'member')
        from pg_roles as r where r.oid = p_owner
        returning * into v_runner;
    end if;
    if not exists (select from pg_roles as r where r.rolname = v_runner.role) then
        begin
            execute format('create role %I nologin', v_runner.role);
            execute format('comment on role %I is %L', v_runner.role,
                format('pg-recovery: runner of %s, see recovery.permit.', v_owner));
        exception when duplicate_object or unique_violation then
            null;  -- of another database of this cluster, a moment ago
        end;
    end if;
    if exists (
        select from pg_roles as r
        where r.rolname = v_runner.role and (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolreplication)
    ) then
        perform recovery._fail('RC010',
            format('role %I is not what pg-recovery made: it can log in or has rights of its own', v_runner.role),
            format('alter role %I nologin nosuperuser nocreaterole noreplication;', v_runner.role));
    end if;
    if v_runner.privileged and pg_has_role(v_runner.role, p_owner, 'member') then
        execute format('revoke %I from %I', v_owner, v_runner.role);
    elsif not v_runner.privileged and not pg_has_role(v_runner.role, p_owner, 'member') then
        execute format('grant %I to %I%s', v_owner, v_runner.role,
            case when v_new then ' with inherit true, set false' else '' end);
    end if;
    if not pg_has_role(v_runner.role, 'recovery_runner', 'member') then
        execute format('grant recovery_runner to %I', v_runner.role);
    end if;
    -- Who is no superuser must belong to a role to make something that belongs to it; until the end of this.
    v_given := not (pg_has_role(v_runner.role, 'usage') and pg_has_role(v_runner.role, v_set));
    if v_given then
        execute format('grant %I to %I%s', v_runner.role, current_user,
            case when v_new then ' with inherit true, set true' else '' end);
    end if;
    if not has_database_privilege(v_runner.role, current_database(), 'temporary') then
        execute format('grant temporary on database %I to %I', current_database(), v_runner.role);
    end if;
    perform recovery._make_runner_function(v_runner, v_owner);
    if v_given then
        execute format('revoke %I from %I', v_runner.role, current_user);
    end if;
    return v_runner.id;
end
$$;
--;
comment on function recovery._make_runner(regrole) is
    'Makes, or repairs, the role and the function by which code of an owner''s tables is executed. Needs a superuser, '
    'or CREATEROLE, membership in recovery_owner and (from PostgreSQL 16 on) the admin option on the owner.';
--;
revoke all on function recovery._make_runner(regrole) from public;
--;
-- sql/rights/_make_runner_function.sql
create or replace function recovery._make_runner_function(p_runner recovery.runner, p_owner text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The runner executes the host's code, and so it owns the function that executes what it is given. An owner can alter
   its function, and host code is the runner while it runs: it could make it security invoker, and whoever calls it
   next would run the code. So it stands in a schema that is open to recovery_owner alone: nobody else can name it. */
declare
    v_call text := format('recovery_private.run_%s(text, recovery.task, text)', p_runner.id);
begin
    execute recovery._render_sql($sql$
        create or replace function recovery_private.run_{id}(p_sql text, p_task recovery.task, p_mode text)
        returns setof jsonb
        language plpgsql
        volatile
        security definer
        set search_path = pg_catalog, pg_temp
        set standard_conforming_strings = on
        as $body$
        declare
            v_rows   refcursor;
            v_answer jsonb;
        begin
            if p_mode = 'read' then
                return query execute p_sql using p_task;
            elsif p_mode = 'write' then
                -- Read and planned by our search_path, executed by that of the host's writers: its triggers see theirs.
                open v_rows no scroll for execute p_sql using p_task;
                perform pg_catalog.set_config('search_path', p_task.path, true);
                loop
                    fetch v_rows into v_answer;
                    exit when not found;
                    return next v_answer;
                end loop;
                close v_rows;
                -- A deferred constraint would fail at commit, where nothing could be split any more; and a
                -- deferred trigger would run there, up to PostgreSQL 17 as whoever called us.
                set constraints all immediate;
            else
                execute p_sql using p_task;
                if p_mode = 'compile' then
                    -- How PostgreSQL prints the expression of a view, its type, and what it uses. Every name is
                    -- qualified: the text will be trusted, and the runner can alter the search_path of this function.
                    return query select pg_catalog.jsonb_build_object(
                        'text', pg_catalog.pg_get_viewdef(a.attrelid),
                        'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                        'uses', (
                            select pg_catalog.jsonb_agg(
                                pg_catalog.jsonb_build_array(d.refclassid, d.refobjid, d.refobjsubid))
                            from pg_catalog.pg_rewrite as w join pg_catalog.pg_depend as d
                              on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                             and d.objid operator(pg_catalog.=) w.oid
                            where w.ev_class operator(pg_catalog.=) a.attrelid))
                    from pg_catalog.pg_attribute as a
                    where a.attrelid operator(pg_catalog.=) p_task.key::pg_catalog.regclass
                      and a.attnum operator(pg_catalog.=) 1;
                end if;
            end if;
        end
        $body$
        $sql$, jsonb_build_object('id', p_runner.id));
    execute format('comment on function %s is %L', v_call,
        format('Executes a statement with the rights of %I, for tables of %I.', p_runner.role, p_owner));
    execute format('grant create on schema recovery_private to %I', p_runner.role);
    execute format('alter function %s owner to %I', v_call, p_runner.role);
    execute format('revoke create on schema recovery_private from %I', p_runner.role);
    execute format('revoke all on function %s from public', v_call);
    execute format('grant execute on function %s to recovery_owner', v_call);
end
$function$;
--;
comment on function recovery._make_runner_function(recovery.runner, text) is
    'Makes, or repairs, the function by which a runner executes statements, which belongs to it. '
    'For recovery._make_runner.';
--;
revoke all on function recovery._make_runner_function(recovery.runner, text) from public;
--;
-- sql/rights/_owns_table.sql
create or replace function recovery._owns_table(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select pg_has_role(c.relowner, 'usage') from pg_class as c where c.oid = p_table), false)
$$;
--;
comment on function recovery._owns_table(regclass) is
    'Whether the caller has the rights of a table''s owner: row security of recovery.watch asks.';
--;
revoke all on function recovery._owns_table(regclass) from public;
--;
-- sql/rights/_reclaim_table.sql
create or replace function recovery._reclaim_table(p_table regclass, p_role name)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
    v_owner  oid := (select c.relowner from pg_class as c where c.oid = p_table);
    v_other  record;
    v_last   boolean;
begin
    v_last := not exists (
        select from recovery.watch as w join pg_class as c on c.oid = w.relation
        where c.relnamespace = v_schema and c.relowner = v_owner and c.oid <> p_table);
    for v_other in
        select c.oid::regclass as name, c.relkind from pg_class as c
        where c.relnamespace = v_schema and c.relowner = v_owner and (v_last or c.oid = p_table)
          and exists (select from aclexplode(c.relacl) as a
              where a.grantee = (select o.oid from pg_roles as o where o.rolname = p_role))
    loop
        execute format('revoke all on %s %s from %I', case v_other.relkind when 'S' then 'sequence' else 'table' end,
            v_other.name, p_role);
    end loop;
    if v_last then
        execute format('revoke all on schema %s from %I', v_schema, p_role);
    end if;
end
$$;
--;
comment on function recovery._reclaim_table(regclass, name) is
    'Takes back what recovery._lend_table granted; what other watches of the schema need stays until the last.';
--;
revoke all on function recovery._reclaim_table(regclass, name) from public;
--;
-- sql/rights/_restore_settings.sql
create or replace function recovery._restore_settings(p_settings pg_catalog.jsonb)
returns pg_catalog.void
language plpgsql
volatile
security invoker
as $$
-- Without a SET clause: what it sets must stay. All names are qualified.
declare
    v_setting pg_catalog.record;
begin
    for v_setting in
        select s.key, s.value from pg_catalog.jsonb_each_text(p_settings) as s
        where coalesce(s.value, '') operator(pg_catalog.<>) coalesce(pg_catalog.current_setting(s.key, true), '')
    loop
        perform pg_catalog.set_config(v_setting.key, coalesce(v_setting.value, ''), false);
    end loop;
end
$$;
--;
comment on function recovery._restore_settings(jsonb) is
    'Sets back what a trigger or function of the host has changed in this session by a plain SET, which outlives the '
    'transaction: else one table''s code could stop the sweeps of all others. To be called after a commit, when local '
    'settings are gone.';
--;
revoke all on function recovery._restore_settings(jsonb) from public;
--;
-- sql/rights/_run_as_owner.sql
create or replace function recovery._run_as_owner(
    p_runner integer, p_sql text, p_task recovery.task default null, p_mode text default 'read'
)
returns setof jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_call   text := format('recovery_private.run_%s($1, $2, $3) as g', p_runner);
    v_rows   jsonb[];
    v_done   boolean := false;
    v_before text[];
    v_left   record;
    v_owner  regrole;
begin
    if p_mode in ('read', 'plan', 'compile') then
        -- Reading leaves nothing behind: what host code has written or set meanwhile, and the deferred triggers
        -- that it has queued (to run later, as whoever is the user then), go back with this block.
        begin
            execute 'select array_agg(g) from ' || v_call into v_rows using p_sql, p_task, p_mode;
            v_done := true;
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            if not v_done then
                raise;
            end if;
        end;
        return query select a.answer from unnest(v_rows) as a (answer);
        return;
    end if;
    v_before := array(select o.what from recovery._session_objects() as o);
    return query execute 'select g from ' || v_call using p_sql, p_task, p_mode;
    select r.owner into v_owner from recovery.runner as r where r.id = p_runner;
    -- Some things outlive the functions, and the transaction, in which host code makes them; the caller's session
    -- would go on with them. A plain SET of search_path and a cursor WITH HOLD are refused, which takes them back;
    -- temporary objects go.
    for v_left in
        select o.what, o.removal from recovery._session_objects() as o where o.what <> all (v_before) order by o.what
    loop
        if v_left.removal is null then
            perform recovery._fail('42501', format('code of %s leaves the %s in the session', v_owner, v_left.what),
                'Let it use one without WITH HOLD.');
        end if;
        perform recovery._run_as_owner(p_runner, v_left.removal, null, 'make');
    end loop;
    if current_setting('search_path') <> 'pg_catalog, pg_temp' then
        perform recovery._fail('42501', format('code of %s sets search_path for the whole session', v_owner),
            'Let it use SET LOCAL, or a SET clause of the function.');
    end if;
end
$$;
--;
comment on function recovery._run_as_owner(integer, text, recovery.task, text) is
    'Executes a statement about watched rows with the rights of their owner''s runner: the only way in which code of '
    'the host runs because of us. Mode read, plan, compile: its answer, and nothing else stays; write: a closing, '
    'which fires the host''s triggers under its own search_path and all deferred ones at once; make: definitions of '
    'our own.';
--;
revoke all on function recovery._run_as_owner(integer, text, recovery.task, text) from public;
--;
-- sql/rights/_runner_of.sql
create or replace function recovery._runner_of(p_table regclass)
returns recovery.runner
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from recovery.runner as r join pg_class as c on c.relowner = r.owner where c.oid = p_table
$$;
--;
comment on function recovery._runner_of(regclass) is 'The runner of a table''s owner; null before recovery.permit.';
--;
revoke all on function recovery._runner_of(regclass) from public;
--;
-- sql/rights/_session_objects.sql
create or replace function recovery._session_objects()
returns table (what text, removal text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query select format('cursor %I of %s', c.name, c.creation_time), null::text from pg_cursors as c
        where c.is_holdable;
    if pg_my_temp_schema() <> 0 then
        return query
            select format('%s %s', c.relname, c.oid), format('drop %s if exists pg_temp.%I cascade',
                case c.relkind when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' when 'f'
                    then 'foreign table' else 'table' end, c.relname)
            from pg_class as c where c.relnamespace = pg_my_temp_schema()
                and c.relkind in ('r', 'p', 'v', 'S', 'c', 'f')
            union all
            select format('%s %s', t.typname, t.oid),
                format('drop %s if exists pg_temp.%I cascade', case t.typtype when 'd' then 'domain' else 'type' end,
                t.typname)
            from pg_type as t where t.typnamespace = pg_my_temp_schema() and t.typtype in ('d', 'e', 'r');
    end if;
end
$$;
--;
comment on function recovery._session_objects() is
    'What outlives a transaction in this session and can run code in it: cursors WITH HOLD, which are filled at '
    'commit by whoever is the user then, and temporary relations and types, which hide those of pg_catalog from '
    'whoever goes on; with the statement that removes it.';
--;
revoke all on function recovery._session_objects() from public;
--;
-- sql/rights/_session_settings.sql
create or replace function recovery._session_settings()
returns pg_catalog.jsonb
language sql
stable
security invoker
as $$
    -- Without a SET clause: it must see what the session has. All names are qualified.
    select pg_catalog.jsonb_object_agg(n.name, pg_catalog.current_setting(n.name, true))
    from (
        select s.name from pg_catalog.pg_settings as s
        where s.context operator(pg_catalog.=) 'user'
            and (s.name operator(pg_catalog.!~) '^transaction_' or s.name operator(pg_catalog.=) 'transaction_timeout')
        union all
        select 'recovery.server_epoch' union all select 'recovery.reason' union all select 'recovery.notify'
    ) as n
$$;
--;
comment on function recovery._session_settings() is
    'Settings of the session that code of the host might leave behind changed; for recovery._restore_settings.';
--;
revoke all on function recovery._session_settings() from public;
--;
-- sql/rights/_untrusted_object.sql
create or replace function recovery._untrusted_object(p_class oid, p_object oid, p_privileged boolean)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_class
        when 'pg_type'::regclass then (
            -- Reading a literal of such a type may run the CHECK of a domain in it.
            select format('type %s', format_type(t.oid, null))
            from pg_type as t left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
            where t.oid = p_object and t.oid >= 16384
              and (t.typtype in ('c', 'r', 'm') or e.typtype in ('c', 'd', 'r', 'm')
                   or p_privileged and not exists (
                       select from pg_roles as o where o.oid = t.typowner
                           and (o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')))))
        when 'pg_proc'::regclass then (
            select format('function %s, which belongs to %s', p.oid::regprocedure, p.proowner::regrole)
            from pg_proc as p join pg_roles as o on o.oid = p.proowner
            where p.oid = p_object and p_privileged
                and not (o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')))
        when 'pg_operator'::regclass then (
            select recovery._untrusted_object('pg_proc'::regclass, o.oprcode, p_privileged) from pg_operator as o
                where o.oid = p_object)
        end
$$;
--;
comment on function recovery._untrusted_object(oid, oid, boolean) is
    'What is wrong with an object (of pg_type, pg_proc, pg_operator) in an expression of an index or trigger: it '
    'would run code when it is read, or, in a table of a superuser, code of somebody else. Null: nothing.';
--;
revoke all on function recovery._untrusted_object(oid, oid, boolean) from public;
--;
-- sql/rights/permit.sql
create or replace function recovery.permit(p_owner regrole)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._make_runner(p_owner);
    execute format('grant usage on schema recovery to %s', p_owner);
    -- Row security lets an owner see and write the watches of its own tables only.
    execute format('grant select, insert (relation, spec, path, attached),
        update (spec, path, supervised, attached), delete
        on recovery.watch to %s', p_owner);
    execute format('grant select on recovery.broken_watch to %s', p_owner);
    execute format('grant execute on function
        recovery._fail(text, text, text),
        recovery._owns_table(regclass),
        recovery._check_owner(regclass),
        recovery._check_table(regclass),
        recovery._partitions_of(regclass),
        recovery._check_partitions(regclass),
        recovery._left_partitions(regclass),
        recovery._clean_partitions(regclass),
        recovery._prepare_runner(regclass),
        recovery._lacks_runner(recovery.runner),
        recovery._add_owner_column(recovery.watch),
        recovery._runner_of(regclass),
        recovery._realias_sql(text, text),
        recovery._has_rewriting_trigger(regclass),
        recovery._is_stale(regclass),
        recovery._lacks_loan(regclass),
        recovery._complete_watch(recovery.watch),
        recovery._make_definitions(recovery.watch),
        recovery._define_watch(regclass),
        recovery._comment_triggers(regclass),
        recovery._watch_definitions(recovery.watch),
        recovery._check_definitions(regclass),
        recovery._drop_triggers(regclass),
        recovery._lend_table(regclass, name),
        recovery._reclaim_table(regclass, name),
        recovery._rehearse_watch(regclass),
        recovery._forget_dropped(),
        recovery._watches_in_the_way(text),
        recovery._rehearse_closing(regclass),
        recovery._differs(recovery.watch, recovery.watch),
        recovery._same_definitions(recovery.watch, recovery.watch),
        recovery._watch_flaw(recovery.watch),
        recovery._watch_indexes(recovery.watch),
        recovery._index_problem(recovery.watch, text, text),
        recovery._find_index(regclass, text),
        recovery._index_steps(recovery.watch, text, text, interval),
        recovery._repair_indexes(recovery.watch),
        recovery._replace_indexes(recovery.watch, recovery.watch),
        recovery._lock_table(regclass, text),
        recovery._yield_triggers(recovery.watch),
        recovery._brief_sql(text, interval),
        recovery._run_briefly(text, interval),
        recovery._check_definer(recovery.watch),
        recovery._finish_attach(regclass),
        recovery._begin_detach(regclass),
        recovery._altered_watch(recovery.watch, jsonb),
        recovery._changed_spec(regclass, jsonb, jsonb),
        recovery._index_sql(recovery.watch, text, regclass, text, text),
        recovery._render_sql(text, jsonb),
        recovery._lock_holders(regclass),
        recovery.attach_steps(regclass, interval),
        recovery.alter_steps(regclass, jsonb, interval),
        recovery.detach_steps(regclass, interval),
        recovery.alter(regclass, jsonb),
        recovery.detach(regclass),
        recovery.compare_watch(regclass, jsonb, jsonb),
        recovery._spec_defaults(jsonb),
        recovery.supervise(regclass, text, text, text, text, text, text, text),
        recovery.unsupervise(regclass)
        to %s', p_owner);
end
$$;
--;
comment on function recovery.permit(regrole) is
    'The one statement by which a DBA permits the owner of tables to attach them: makes its runner and grants what '
    'recovery.attach needs. It gives no right on anybody else''s tables, nor on servers, tokens or events. Repeating '
    'it repairs. As recovery._make_runner; RC010 no such role.';
--;
revoke all on function recovery.permit(regrole) from public;
--;
-- sql/watch/_add_owner_column.sql
create or replace function recovery._add_owner_column(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.own_column and not exists (
        select from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
    then
        execute format('alter table %s add column server_epoch bigint', p_watch.relation);
        execute format('comment on column %s.server_epoch is %L', p_watch.relation,
            'pg-recovery: epoch of the server that owns the row.');
    end if;
end
$$;
--;
comment on function recovery._add_owner_column(recovery.watch) is
    'Adds server_epoch to the table of a watch, unless it is there.';
--;
revoke all on function recovery._add_owner_column(recovery.watch) from public;
--;
-- sql/watch/_after_delete_sql.sql
create or replace function recovery._after_delete_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_image   constant text := recovery._realias_sql(p_watch.image, 'old');
    v_deleted constant text := $sql$'deleted'$sql$;
    v_moved   text := '';
begin
    if p_moves then
        v_moved := recovery._render_sql($sql$
            if coalesce(nullif(current_setting(v_left, true), ''), '0') <> '0' then
                perform set_config(v_left, (current_setting(v_left)::integer - 1)::text, true),
                        set_config('recovery.was_{id}_' || pg_trigger_depth(), jsonb_build_object(
                            'open', v_was, 'owner', old.server_epoch, 'image', {image}, 'key', {key})::text, true);
                return null;
            end if;
        $sql$, jsonb_build_object(
            'id', p_watch.id,
            'image', v_image,
            'key', case p_watch.events when 'closed' then 'null' else format(
                'case when v_was then %s end', recovery._row_key_sql(p_watch, 'old')) end));
    end if;
    return recovery._render_sql($sql$
        declare
            v_left constant text := 'recovery.left_{id}_' || pg_trigger_depth();
            v_was  constant boolean := {was_open};
        begin
            if not v_was then
                perform recovery._fence_write(null, false);
            else
                if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                          and current_setting('transaction_isolation') = 'read committed'
                         then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        {write_if_live}
                end if;
                if not found then
                    perform recovery._fence_write(null, false);
        {write}
                end if;
            end if;
        {moved}
            if not v_was then
                return null;
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'was_open', recovery._state_sql(p_watch, 'old'),
        'write_if_live', recovery._event_sql(p_watch, 'old', v_deleted, v_image, 'null::jsonb', false, true),
        'write', recovery._event_sql(p_watch, 'old', v_deleted, v_image, 'null::jsonb', false, false),
        'moved', v_moved,
        'ring', recovery._ring_sql(p_watch, v_deleted)));
end
$function$;
--;
comment on function recovery._after_delete_sql(recovery.watch, boolean) is
    'Body of the trigger function that fences and tells open rows that are deleted. See recovery._trigger_sql.';
--;
revoke all on function recovery._after_delete_sql(recovery.watch, boolean) from public;
--;
-- sql/watch/_after_insert_sql.sql
create or replace function recovery._after_insert_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_image  constant text := recovery._realias_sql(p_watch.image, 'new');
    v_opened constant text := $sql$'opened'$sql$;
    v_moved  text := '';
begin
    if p_moves then
        v_moved := recovery._render_sql($sql$
            if nullif(current_setting(v_left, true), '') is not null then
                v_was := current_setting(v_left, true);
                perform set_config(v_left, '', true), recovery._withdraw_deletion({watch!l}, v_was ->> 'key');
                v_old := (v_was ->> 'open')::boolean;
                v_new := {is_open};
                if v_old and v_new and new.server_epoch is not distinct from (v_was ->> 'owner')::bigint
                    or not v_old and not v_new
                then
                    return null;
                end if;
                perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old{and_own});
                v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;
        {write}
            {ring}
                return null;
            end if;
        $sql$, jsonb_build_object(
            'watch', p_watch.name,
            'and_own', case when p_watch.owner is null then ''
                else ' and ' || recovery._named_owner_sql(p_watch, 'own') end,
            'is_open', recovery._state_sql(p_watch, 'new'),
            'write', recovery._event_sql(p_watch, 'new', 'v_kind', $sql$v_was -> 'image'$sql$, v_image, p_watch.diff,
                false),
            'ring', recovery._ring_sql(p_watch, 'v_kind')));
    end if;
    return recovery._render_sql($sql$
        declare
            v_left constant text := 'recovery.was_{id}_' || pg_trigger_depth();
            v_was  jsonb;
            v_old  boolean;
            v_new  boolean;
            v_kind text;
        begin
        {moved}
            if not ({is_open}) then
                return null;
            end if;
            if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                      and current_setting('transaction_isolation') = 'read committed'
                     then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        {write_if_live}
            end if;
            if not found then
                perform recovery._fence_write(new.server_epoch, {own});
        {write}
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'moved', v_moved,
        'own', recovery._named_owner_sql(p_watch, 'own'),
        'is_open', recovery._state_sql(p_watch, 'new'),
        'write_if_live', recovery._event_sql(p_watch, 'new', v_opened, 'null::jsonb', v_image, false, true),
        'write', recovery._event_sql(p_watch, 'new', v_opened, 'null::jsonb', v_image, false, false),
        'ring', recovery._ring_sql(p_watch, v_opened)));
end
$function$;
--;
comment on function recovery._after_insert_sql(recovery.watch, boolean) is
    'Body of the trigger function that fences and tells open rows that are new, or come from another partition. '
    'See recovery._trigger_sql.';
--;
revoke all on function recovery._after_insert_sql(recovery.watch, boolean) from public;
--;
-- sql/watch/_after_update_sql.sql
create or replace function recovery._after_update_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_old constant text := recovery._realias_sql(p_watch.image, 'old');
    v_new constant text := recovery._realias_sql(p_watch.image, 'new');
begin
    return recovery._render_sql($sql$
        declare
            v_old  constant boolean := {was_open};
            v_new  constant boolean := {is_open};
            v_kind text;
        begin
            if v_old and v_new and new.server_epoch is not distinct from old.server_epoch then
                return null;  -- still open
            end if;
            v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;
            if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                      and v_old <> v_new and (v_new or new.server_epoch = old.server_epoch)
                      and current_setting('transaction_isolation') = 'read committed'
                     then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        {write_if_live}
            end if;
            if not found then
                perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old{and_own});
                if not v_old and not v_new then
                    return null;
                end if;
        {write}
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'was_open', recovery._state_sql(p_watch, 'old'),
        'and_own', case when p_watch.owner is null then ''
            else ' and ' || recovery._named_owner_sql(p_watch, 'own') end,
        'is_open', recovery._state_sql(p_watch, 'new'),
        'write_if_live', recovery._event_sql(p_watch, 'new', 'v_kind', v_old, v_new, p_watch.diff, true),
        'write', recovery._event_sql(p_watch, 'new', 'v_kind', v_old, v_new, p_watch.diff, false),
        'ring', recovery._ring_sql(p_watch, 'v_kind')));
end
$function$;
--;
comment on function recovery._after_update_sql(recovery.watch) is
    'Body of the trigger function that fences and tells rows that are opened, closed or adopted. See '
    'recovery._trigger_sql.';
--;
revoke all on function recovery._after_update_sql(recovery.watch) from public;
--;
-- sql/watch/_altered_watch.sql
create or replace function recovery._altered_watch(p_watch recovery.watch, p_changes jsonb)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_after recovery.watch;
begin
    begin
        perform recovery._yield_triggers(p_watch);
        update recovery.watch as w
        set spec = recovery._changed_spec(p_watch.relation, p_watch.spec, p_changes),
            path = coalesce(p_changes ->> 'search_path', w.path)
        where w.id = p_watch.id returning w.* into v_after;
        perform recovery._fail('RX000', 'taken back');
    exception when sqlstate 'RX000' then
        return v_after;
    end;
end
$$;
--;
comment on function recovery._altered_watch(recovery.watch, jsonb) is
    'What recovery.alter would make of a watch; nothing is changed. RC006 and RC010 as there.';
--;
revoke all on function recovery._altered_watch(recovery.watch, jsonb) from public;
--;
-- sql/watch/_attached_watches.sql
create or replace function recovery._attached_watches()
returns setof recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.* from recovery.watch as w
    where w.attached is not null and exists (select from pg_class as c where c.oid = w.relation)
$$;
--;
comment on function recovery._attached_watches() is
    'The watches that are in force: not those that are being attached or detached, nor those whose table was dropped '
    'without recovery.detach, which harms no other.';
--;
revoke all on function recovery._attached_watches() from public;
--;
-- sql/watch/_attempt_sql.sql
create or replace function recovery._attempt_sql(p_expression text, p_attempt text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Of the closing, but of each row its own. Tokens: a string, a quoted name, c.attempt, another word, any other
    -- character.
    select string_agg(case when t.token[1] = 'c.attempt' then p_attempt else t.token[1] end, '' order by t.n)
    from regexp_matches(p_expression, $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|\mc\.attempt\M|[a-zA-Z0-9_$]+|.)$re$, 'g')
         with ordinality as t (token, n)
$$;
--;
comment on function recovery._attempt_sql(text, text) is
    'A compiled expression with the number of the attempt in place of c.attempt.';
--;
revoke all on function recovery._attempt_sql(text, text) from public;
--;
-- sql/watch/_bare_sql.sql
create or replace function recovery._bare_sql(p_text text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select translate(regexp_replace(p_text,
        '::(?:"[^"]+"|[a-z_][a-z0-9_]*)(?:\.(?:"[^"]+"|[a-z_][a-z0-9_]*))?'
        '(?: varying| precision| with time zone| without time zone)?(?:\([0-9,]+\))?(?:\[\])*', '', 'g'),
        E'() \n', '')
$$;
--;
comment on function recovery._bare_sql(text) is
    'An expression without what PostgreSQL prints differently for a view and for an index: parentheses, white space, '
    'and where the cast of an array stands.';
--;
revoke all on function recovery._bare_sql(text) from public;
--;
-- sql/watch/_before_delete_sql.sql
create or replace function recovery._before_delete_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select recovery._render_sql($sql$
        declare
            v_move constant text := 'recovery.move_{id}_' || pg_trigger_depth();
            v_left constant text := 'recovery.left_{id}_' || pg_trigger_depth();
        begin
            if current_setting(v_move, true) = tg_relid || ' ' || old.ctid then
                perform set_config(v_move, 'moves', true),
                        set_config(v_left, (coalesce(nullif(current_setting(v_left, true), ''),
                            '0')::integer + 1)::text, true);
            end if;
            return old;
        end
        $sql$, jsonb_build_object('id', p_watch.id))
$function$;
--;
comment on function recovery._before_delete_sql(recovery.watch) is
    'Body of the trigger function that counts rows on their way to another partition. See recovery._trigger_sql.';
--;
revoke all on function recovery._before_delete_sql(recovery.watch) from public;
--;
-- sql/watch/_before_insert_sql.sql
create or replace function recovery._before_insert_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_move constant text := 'recovery.move_{id}_' || pg_trigger_depth();
        begin
        {moved}
        {named}
            new.server_epoch := case when {is_open} then coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
            return new;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'moved', case when p_moves then recovery._render_sql($sql$
            if current_setting(v_move, true) = 'moves' then
                perform set_config(v_move, '', true);
                return new;  -- from another partition, where before_update has seen it
            end if;
        $sql$, '{}') else '' end,
        'named', recovery._named_owner_sql(p_watch, 'inserted'),
        'is_open', case when recovery._is_decided_late(p_watch) then 'true'
                        else recovery._state_sql(p_watch, 'new') end));
end
$function$;
--;
comment on function recovery._before_insert_sql(recovery.watch, boolean) is
    'Body of the trigger function that writes the owner into a new row. See recovery._trigger_sql.';
--;
revoke all on function recovery._before_insert_sql(recovery.watch, boolean) from public;
--;
-- sql/watch/_before_truncate_sql.sql
create or replace function recovery._before_truncate_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_told  bigint;
            -- An older snapshot does not see all of the rows that go.
            v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
        begin
            if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
                perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            end if;
        {tell}
            return null;
        end
        $sql$, jsonb_build_object(
        'tell', case p_watch.events when 'closed' then '' else recovery._render_sql($sql$
            begin
                perform pg_current_xact_id();  -- before the event's id: see recovery._settled
                execute replace({write!l}, '@TABLE@', tg_relid::regclass::text);
                get diagnostics v_told = row_count;
                if v_told > 0 then
                    perform recovery._announce_written('deleted');
                end if;
            exception when others then
                raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
                v_blind := true;
            end;
            if v_blind then
                begin
                    insert into recovery.outbox_{outbox}_single (watch, kind, topic, key, reason, detector, new)
                    values ({watch!l}, 'gap', {topic!l}, '', 'truncated', 'writer',
                        jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
                exception when others then
                    null;  -- what there was to say is said above
                end;
            end if;
        $sql$, jsonb_build_object(
            'outbox', p_watch.outbox, 'watch', p_watch.name, 'topic', p_watch.topic, 'write', recovery._event_sql(
            p_watch, 'r', $sql$'deleted'$sql$, p_watch.image, 'null::jsonb', false, false))) end));
end
$function$;
--;
comment on function recovery._before_truncate_sql(recovery.watch) is
    'Body of the trigger function that fences and tells the open rows of a table that is truncated. See '
    'recovery._trigger_sql.';
--;
revoke all on function recovery._before_truncate_sql(recovery.watch) from public;
--;
-- sql/watch/_before_update_sql.sql
create or replace function recovery._before_update_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
            v_opens  boolean;
        begin
        {moves}
            if {was_open} then
        {handed}
                -- The NULL of an ORM that has not seen who owns the row says nothing.
                if new.server_epoch is null and v_writer is not null then
                    new.server_epoch := old.server_epoch;
                end if;
                return new;
            end if;
            v_opens := {is_open};
            if old.server_epoch < 0 then
                perform recovery._refuse_late_result(
                    old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
            end if;
        {opened}
            if v_opens then
                -- Ownership begins here. Who is no server leaves the owner that the row carries, and is refused if it
                -- has ended.
                if new.server_epoch is null
                    or new.server_epoch = old.server_epoch and (v_writer is not null or old.server_epoch < 0)
                then
                    new.server_epoch := v_writer;
                end if;
            else
                if new.server_epoch <> old.server_epoch or old.server_epoch is null then
                    new.server_epoch := old.server_epoch;
                end if;
                if v_writer is not null then
                    perform recovery._fence_write(null, false);
                end if;
            end if;
            return new;
        end
        $sql$, jsonb_build_object(
        'moves', case when p_moves then recovery._render_sql($sql$
            perform set_config('recovery.move_{id}_' || pg_trigger_depth(), tg_relid || ' ' || old.ctid, true),
                    set_config('recovery.move_{id}', 'on', true);
        $sql$, jsonb_build_object('id', p_watch.id)) else '' end,
        'handed', recovery._named_owner_sql(p_watch, 'handed'),
        'opened', recovery._named_owner_sql(p_watch, 'opened'),
        'was_open', recovery._state_sql(p_watch, 'old'),
        'is_open', case when recovery._is_decided_late(p_watch) then 'true'
                        else recovery._state_sql(p_watch, 'new') end));
end
$function$;
--;
comment on function recovery._before_update_sql(recovery.watch, boolean) is
    'Body of the trigger function that keeps the owner of a row, and fences writes of closed ones. See '
    'recovery._trigger_sql.';
--;
revoke all on function recovery._before_update_sql(recovery.watch, boolean) from public;
--;
-- sql/watch/_begin_detach.sql
create or replace function recovery._begin_detach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform recovery._lock_table(p_table, 'access exclusive');
    perform recovery._drop_triggers(p_table);
    -- From here on no sweep looks for its index.
    update recovery.watch as w set attached = null where w.relation = p_table;
end
$$;
--;
comment on function recovery._begin_detach(regclass) is
    'First step of recovery.detach_steps: the triggers go, and the watch is no longer in force.';
--;
revoke all on function recovery._begin_detach(regclass) from public;
--;
-- sql/watch/_brief_sql.sql
create or replace function recovery._brief_sql(p_statement text, p_lock_timeout interval)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format('select recovery._run_briefly(%L, %L)', p_statement, p_lock_timeout)
$$;
--;
comment on function recovery._brief_sql(text, interval) is
    'The statement that executes another one with a bounded wait for each lock: see recovery._run_briefly.';
--;
revoke all on function recovery._brief_sql(text, interval) from public;
--;
-- sql/watch/_carry_over.sql
create or replace function recovery._carry_over()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table regclass;
begin
    if old.family <> new.family and exists (select from recovery.watch as w where w.family = old.family) then
        perform recovery._fail('RC006',
            format('"%s" cannot leave family "%s": it has other watches', new.name, old.family),
            'What guards or times out a group of the family belongs to all of them. Detach it, and attach it anew.');
    end if;
    if old.name <> new.name then
        foreach v_table in array array[
            'recovery.failure', 'recovery.broken_watch', 'recovery.blind_watch',
            'recovery.fuse', 'recovery.touch', 'recovery.cancellation',
            'recovery.process', 'recovery.setting']::regclass[]
        loop
            execute format('update %s set watch = $1 where watch = $2', v_table) using new.name, old.name;
        end loop;
    end if;
    if old.family <> new.family then
        foreach v_table in array array[
            'recovery.fuse', 'recovery.touch', 'recovery.cancellation', 'recovery.process']::regclass[]
        loop
            execute format('update %s set family = $1 where family = $2', v_table) using new.family, old.family;
        end loop;
    end if;
    if old.outbox <> new.outbox and not exists (select from recovery.watch as w where w.outbox = old.outbox) then
        perform recovery._drop_outbox(old.outbox);
    end if;
    return null;
end
$$;
--;
comment on function recovery._carry_over() is
    'Trigger function of recovery.watch: fuses, touches, requests, processes, failures and settings follow a watch '
    'whose name or family changes. Events keep the name under which they were written. RC006 it shares its family.';
--;
revoke all on function recovery._carry_over() from public;
--;
-- sql/watch/_changed_spec.sql
create or replace function recovery._changed_spec(p_table regclass, p_spec jsonb, p_changes jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Those that recovery.watch.spec has only where they were given.
    c_seldom constant text[] := array['search_path', 'owner', 'alive', 'alive_lease', 'free_reasons', 'not_before',
        'backoff', 'max_backoff'];
    v_option text;
    v_spec   jsonb;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' then
        perform recovery._fail('RC010', format('changes of %s are %s', p_table, coalesce(p_changes::text, 'null')),
            'Give an object of option -> value, such as {"topic": "job"}; null resets an option.');
    end if;
    select k.key into v_option from jsonb_object_keys(p_changes) as k (key)
    where not (p_spec ? k.key or k.key = any(c_seldom)) order by k.key limit 1;
    if found then
        perform recovery._fail('RC010', format('recovery.attach has no option "%s"', v_option),
            format('It has: %s.', (
                select string_agg(o.key, ', ' order by o.key) from (
                    select k.key from jsonb_object_keys(p_spec) as k (key)
                    union select * from unnest(c_seldom)) as o (key))));
    elsif p_changes -> 'search_path' = 'null' then
        perform recovery._fail('RC010', 'search_path null is not allowed', 'Give the one of the writers.');
    end if;
    v_spec := p_spec || (p_changes - 'search_path');
    v_spec := recovery._spec_defaults(v_spec) || v_spec || (
        select coalesce(jsonb_object_agg(d.key, d.value), '{}') from jsonb_each(recovery._spec_defaults(v_spec)) as d
        where v_spec ->> d.key is null);
    -- As recovery.attach writes them.
    return v_spec - (select array_agg(o.name) from unnest(c_seldom) as o (name) where v_spec ->> o.name is null
            or o.name = 'free_reasons' and nullif(v_spec -> 'requeue', 'null') is null
            or o.name = 'alive_lease' and v_spec ->> 'alive' is null
            or o.name in ('backoff', 'max_backoff') and v_spec ->> 'not_before' is null)
        || case when v_spec ->> 'name' is null then (
               select jsonb_build_object('name', n.nspname || '.' || c.relname)
               from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)
           else '{}' end
        || (select jsonb_object_agg(o.name, (v_spec ->> o.name)::interval)
            from unnest(array['launch_grace', 'unowned', 'alive_lease', 'backoff', 'max_backoff']) as o (name)
            where o.name in ('launch_grace', 'unowned') or v_spec ->> o.name is not null)
        || jsonb_build_object('max_attempts', case when nullif(v_spec -> 'requeue', 'null') is not null
            then (v_spec ->> 'max_attempts')::integer end);
end
$$;
--;
comment on function recovery._changed_spec(regclass, jsonb, jsonb) is
    'A registration with some options changed, null for what recovery.attach does without them. '
    'RC010 no such option.';
--;
revoke all on function recovery._changed_spec(regclass, jsonb, jsonb) from public;
--;
-- sql/watch/_check_definer.sql
create or replace function recovery._check_definer(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner regrole := (select c.relowner from pg_class as c where c.oid = p_watch.relation);
begin
    -- An index that is made concurrently can't be taken back when one of its literals has run code: see
    -- recovery._check_definitions. So nobody reads them who could do more than the owner.
    if not p_watch.plain and not (recovery._runner_of(p_watch.relation)).privileged and exists (
        select from pg_roles as r
        where r.rolname in (session_user, current_user) and r.oid <> v_owner
            and (r.rolsuper or pg_has_role(r.oid, 'recovery_owner', 'member')))
    then
        perform recovery._fail('42501', format(
            'an index of %s concurrently is made by %s itself: expressions of the watch use types of its own',
            p_watch.relation, v_owner), format('Connect as %s.', v_owner));
    end if;
end
$$;
--;
comment on function recovery._check_definer(recovery.watch) is
    'Refuses a privileged caller who is to read literals of types that a table''s owner has made: 42501.';
--;
revoke all on function recovery._check_definer(recovery.watch) from public;
--;
-- sql/watch/_check_definitions.sql
create or replace function recovery._check_definitions(p_table regclass)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_what text;
begin
    -- A type may have got another meaning since the expression was compiled; then its literal has run code, and
    -- this takes back all that came of it.
    select u.what into v_what
    from pg_depend as d
    cross join lateral recovery._untrusted_object(d.refclassid, d.refobjid,
        (recovery._runner_of(p_table)).privileged) as u (what)
    where u.what is not null
      and (d.classid = 'pg_class'::regclass and d.objid in (
              select i.indexrelid from pg_index as i join pg_class as c on c.oid = i.indexrelid
              where i.indrelid = p_table and c.relname ~ '^recovery_(open|started)_[0-9]+(_new)?$')
           or d.classid = 'pg_trigger'::regclass and d.objid in (
              select t.oid from pg_trigger as t where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_')
              and d.refclassid <> 'pg_proc'::regclass)
    limit 1;
    if v_what is not null then
        perform recovery._fail('RC006', format('the index or a trigger of %s uses %s', p_table, v_what),
            'Something that an expression uses was redefined while the table was attached.');
    end if;
end
$$;
--;
comment on function recovery._check_definitions(regclass) is
    'Refuses an index or trigger of ours in which a literal has run code: RC006.';
--;
revoke all on function recovery._check_definitions(regclass) from public;
--;
-- sql/watch/_check_family.sql
create or replace function recovery._check_family(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other recovery.watch;
begin
    select w.* into v_other from recovery.watch as w
    where w.family = p_watch.family and w.id <> p_watch.id
      and (w.group_type is distinct from p_watch.group_type or w.runner <> p_watch.runner);
    if found and v_other.runner <> p_watch.runner then
        perform recovery._fail('RC006',
            format('%s and %s, of family "%s", belong to two owners',
                p_watch.relation, v_other.relation, p_watch.family),
            'Watches of one family close in one statement, with the rights of one owner.');
    elsif found then
        perform recovery._fail('RC006', format('the group of %s is %s, that of "%s" in family "%s" is %s',
            p_watch.relation, coalesce(p_watch.group_type, 'not given'),
            v_other.name, p_watch.family, coalesce(v_other.group_type, 'not given')),
            'Watches of one family share the type of their group.');
    end if;
    if p_watch.group_by is null
        and exists (select from recovery.watch as w where w.family = p_watch.family and w.id <> p_watch.id)
    then
        perform recovery._fail('RC006', format('family "%s" has a watch already', p_watch.family),
            'Watches share a family only by p_group.');
    end if;
end
$$;
--;
comment on function recovery._check_family(recovery.watch) is
    'Refuses a watch that cannot close together with the others of its family: RC006.';
--;
revoke all on function recovery._check_family(recovery.watch) from public;
--;
-- sql/watch/_check_key.sql
create or replace function recovery._check_key(p_key text, p_what text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_key is null or p_key = '' then
        perform recovery._fail('RC010', format('a %s needs the key of a row or group', p_what),
            'As recovery.event.key and group_key show it.');
    elsif octet_length(p_key) > 2000 then
        perform recovery._fail('RC010',
            format('the key %s... of a %s has %s bytes', left(p_key, 40), p_what, octet_length(p_key)),
            'Give 1 to 2000 bytes.');
    end if;
end
$$;
--;
comment on function recovery._check_key(text, text) is
    'Refuses a key that no row or group can have: RC010. p_what (fuse, touch, process) names it in the error.';
--;
revoke all on function recovery._check_key(text, text) from public;
--;
-- sql/watch/_check_options.sql
create or replace function recovery._check_options(p_table regclass, p_spec jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_close    jsonb := p_spec -> 'close';
    v_requeue  jsonb := nullif(p_spec -> 'requeue', 'null');
    v_attempts text := p_spec ->> 'attempts';
    v_grace    interval := p_spec ->> 'launch_grace';
    v_unowned  interval := p_spec ->> 'unowned';
    v_lease    interval := p_spec ->> 'alive_lease';
    v_backoff  interval := p_spec ->> 'backoff';
    v_cap      interval := p_spec ->> 'max_backoff';
    v_problem  text;
    v_hint     text;
begin
    select p.problem, p.hint into v_problem, v_hint
    from (values
        (btrim(coalesce(p_spec ->> 'open', '')) = '',
         format('no open expression was given for %s', p_table),
         'Such as: status = ''running''.'),
        (jsonb_typeof(v_close) is distinct from 'object' or v_close = '{}',
         format('close expressions of %s are %s', p_table, coalesce(nullif(v_close, 'null')::text, 'null')),
         'Give an object of column -> SQL expression, such as {"status": "''failed''"}.'),
        (coalesce(p_spec ->> 'events', '') not in ('all', 'closed'),
         format('events %s of %s is not known', coalesce(quote_ident(p_spec ->> 'events'), 'null'), p_table),
         'Allowed are all and closed.'),
        (v_unowned is not null and p_spec ->> 'started' is null,
         format('unowned rows of %s can only be closed by age', p_table),
         'Give p_started too.'),
        (v_grace is not null and p_spec ->> 'started' is null,
         format('a launch grace for %s needs to know when work started', p_table),
         'Give p_started too.'),
        (v_grace < interval '0' or v_unowned < interval '0',
         format('interval %s of %s is negative', least(v_grace, v_unowned), p_table),
         null),
        ((v_requeue is null) <> (v_attempts is null) or v_requeue = '{}' or jsonb_typeof(v_requeue) <> 'object',
         format('requeue of %s is %s with attempts column %s',
             p_table, coalesce(v_requeue::text, 'null'), coalesce(v_attempts, 'null')),
         'Give both: an object of column -> SQL expression that sets a row back, such as {"status": "''queued''"}, '
         'and the integer column that counts.'),
        (v_requeue is not null and coalesce((p_spec ->> 'max_attempts')::integer, 0) < 1,
         format('max attempts %s of %s is not allowed', coalesce(p_spec ->> 'max_attempts', 'null'), p_table),
         'Give 1 or more.'),
        (array_position(recovery._to_texts(p_spec -> 'free_reasons'), null) is not null,
         format('free reasons %s of %s are not allowed', p_spec ->> 'free_reasons', p_table),
         'Give reasons as recovery.event writes them.'),
        (p_spec ->> 'not_before' is not null and v_requeue is null,
         format('not_before of %s is for work that goes back to a queue', p_table),
         'Give p_requeue too.'),
        (p_spec ->> 'not_before' is not null
            and (v_backoff > interval '0' and v_cap >= v_backoff and v_cap <= interval '366 days') is not true,
         format('backoff %s up to %s of %s is not allowed', coalesce(v_backoff::text, 'null'),
             coalesce(v_cap::text, 'null'), p_table),
         'Give a positive interval, and a longest one of at most 366 days.'),
        (p_spec ->> 'alive' is not null
            and (v_lease >= interval '1 second' and v_lease <= interval '1 day') is not true,
         format('alive_lease %s of %s is not allowed', coalesce(v_lease::text, 'null'), p_table),
         'Give an interval from a second to a day.'),
        (p_spec ->> 'position' is null,
         format('position null of %s is not allowed', p_table),
         'Give an integer.'),
        (octet_length(p_spec ->> 'name') > 200 or btrim(coalesce(p_spec ->> 'name', '')) = '',
         format('watch name "%s" is not allowed', left(p_spec ->> 'name', 60)),
         'Give 1 to 200 bytes.'),
        (octet_length(p_spec ->> 'family') > 200,
         format('family name "%s..." is not allowed', left(p_spec ->> 'family', 60)),
         'Give 1 to 200 bytes.'),
        (p_spec ->> 'parent' is not null and p_spec ->> 'group' is null,
         format('%s has a parent expression but no group', p_table),
         'p_parent goes with p_group.')
    ) as p (wrong, problem, hint)
    where p.wrong limit 1;
    if found then
        perform recovery._fail('RC006', v_problem, v_hint);
    end if;
end
$$;
--;
comment on function recovery._check_options(regclass, jsonb) is
    'Refuses the arguments of recovery.attach that cannot work, before anything is compiled: RC006.';
--;
revoke all on function recovery._check_options(regclass, jsonb) from public;
--;
-- sql/watch/_check_owner.sql
create or replace function recovery._check_owner(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner regrole := (select c.relowner from pg_class as c where c.oid = p_table);
begin
    if v_owner is not null and not recovery._owns_table(p_table) then
        perform recovery._fail('42501', format('must be owner of table %s', p_table),
            format('It belongs to %s.', v_owner));
    end if;
end
$$;
--;
comment on function recovery._check_owner(regclass) is
    'Refuses a caller without the rights of a table''s owner: 42501.';
--;
revoke all on function recovery._check_owner(regclass) from public;
--;
-- sql/watch/_check_partitions.sql
create or replace function recovery._check_partitions(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other record;
begin
    select p.relation, p.owner into v_other from recovery._partitions_of(p_table) as p
    where not pg_has_role(p.owner, 'usage') order by p.relation::text limit 1;
    if found then
        perform recovery._fail('42501', format('must be owner of partition %s of %s', v_other.relation, p_table),
            format('It belongs to %s. Who has the rights of both owners attaches the table, a superuser for one; or: '
                'alter table %s owner to %s;', v_other.owner, v_other.relation,
                (select c.relowner::regrole from pg_class as c where c.oid = p_table)));
    end if;
    select p.relation into v_other from recovery._partitions_of(p_table) as p
    join pg_trigger as t on t.tgrelid = p.relation
    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgparentid = 0 limit 1;
    if found then
        perform recovery._fail('RC006', format('partition %s of %s is watched itself', v_other.relation, p_table),
            format('Detach it first: select recovery.detach(%L).', v_other.relation));
    end if;
end
$$;
--;
comment on function recovery._check_partitions(regclass) is
    'Refuses a caller without the rights of each partition''s owner, which what attach makes needs: 42501; and '
    'partitions that have triggers of ours: RC006.';
--;
revoke all on function recovery._check_partitions(regclass) from public;
--;
-- sql/watch/_check_supervision.sql
create or replace function recovery._check_supervision(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table  regclass := p_watch.relation;
    v_cancel text := p_watch.supervised ->> 'cancel';
begin
    if v_cancel is null or v_cancel not in ('row', 'group') then
        perform recovery._fail('RC006',
            format('cancel %s of %s is not known', coalesce(quote_literal(v_cancel), 'null'), v_table),
            'Allowed are row and group.');
    elsif v_cancel = 'group' and p_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no group to cancel', v_table),
            'Attach it with p_group, or cancel rows.');
    elsif p_watch.supervised ->> 'child' is not null and p_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no groups, so a row cannot wait for one', v_table),
            'Attach it with p_group.');
    elsif p_watch.started is null then
        perform recovery._fail('RC006', format('the watchdog needs to know when work of %s started', v_table),
            'Give p_started, such as created_at.');
    end if;
end
$$;
--;
comment on function recovery._check_supervision(recovery.watch) is
    'Refuses the arguments of recovery.supervise that cannot work: RC006.';
--;
revoke all on function recovery._check_supervision(recovery.watch) from public;
--;
-- sql/watch/_check_table.sql
create or replace function recovery._check_table(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_class record;
begin
    select c.relkind, c.relpersistence, c.relispartition, n.nspname, r.rolname into v_class
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_roles as r on r.oid = c.relowner
    where c.oid = p_table;
    if not found then
        perform recovery._fail('RC006', format('table %s does not exist', coalesce(p_table::text, 'null')));
    elsif v_class.relkind not in ('r', 'p') then
        perform recovery._fail('RC006', format('%s is a %s: only tables can be watched', p_table,
            case v_class.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
                 when 'i' then 'index' when 'S' then 'sequence' else 'relation of kind ' || v_class.relkind::text end));
    elsif v_class.relispartition then
        perform recovery._fail('RC006', format('%s is a partition', p_table), 'Watch the partitioned table.');
    elsif v_class.relpersistence = 't' then
        perform recovery._fail('RC006',
            format('%s is a temporary table: other sessions cannot see its rows', p_table));
    elsif v_class.nspname in ('recovery', 'pg_catalog', 'information_schema') then
        perform recovery._fail('RC006',
            format('%s belongs to schema %s and cannot be watched', p_table, v_class.nspname));
    elsif v_class.rolname = 'recovery_owner' then
        perform recovery._fail('RC006', format('%s belongs to recovery_owner and cannot be watched', p_table),
            'Give it to a role of the application.');
    end if;
end
$$;
--;
comment on function recovery._check_table(regclass) is 'Refuses a relation that cannot be watched: RC006.';
--;
revoke all on function recovery._check_table(regclass) from public;
--;
-- sql/watch/_check_unit.sql
create or replace function recovery._check_unit(p_watch text, p_scope text, p_key text, p_what text)
returns recovery.unit
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit := recovery._unit_of(p_watch, p_scope, p_key, p_what);
begin
    if p_scope = 'group' and exists (select from recovery.watch as w where w.name = p_watch and w.group_by is null) then
        perform recovery._fail('RC010', format('watch "%s" has no groups', p_watch), 'Give scope row.');
    end if;
    perform recovery._check_key(p_key, p_what);
    return v_unit;
end
$$;
--;
comment on function recovery._check_unit(text, text, text, text) is
    'As recovery._unit_of, and RC010 if the unit cannot be: a group of a watch without groups, no key.';
--;
revoke all on function recovery._check_unit(text, text, text, text) from public;
--;
-- sql/watch/_child_group.sql
create or replace function recovery._child_group(p_watch recovery.watch, p_key text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_child jsonb;
    v_task  recovery.task;
begin
    if p_watch.child is not null then
        v_task.key := p_key;
        select c.* into v_child from recovery._run_as_owner(p_watch.runner, recovery._render_sql(
            'select to_jsonb(({child})::text) from {relation} as r where {key} = ($1).key',
            jsonb_build_object('child', p_watch.child, 'relation', p_watch.relation,
                               'key', recovery._key_text(p_watch.key_columns, 'r'))), v_task) as c;
    end if;
    return v_child #>> '{}';
end
$$;
--;
comment on function recovery._child_group(recovery.watch, text) is
    'The group that a row waits for (a subagent''s session), or null.';
--;
revoke all on function recovery._child_group(recovery.watch, text) from public;
--;
-- sql/watch/_clean_partitions.sql
create or replace function recovery._clean_partitions(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_left regclass;
begin
    for v_left in select l.* from recovery._left_partitions(p_table) as l order by l::text loop
        begin
            execute format('alter table %s drop column server_epoch', v_left);
        exception when others then
            raise warning 'recovery: %, which was a partition of %, keeps the column server_epoch: %', v_left, p_table,
                sqlerrm using hint = format('alter table %s drop column server_epoch;', v_left);
        end;
    end loop;
end
$$;
--;
comment on function recovery._clean_partitions(regclass) is
    'Removes from detached partitions what PostgreSQL has left in them: the column server_epoch, and the index with '
    'it. What the caller may not alter is named in a warning.';
--;
revoke all on function recovery._clean_partitions(regclass) from public;
--;
-- sql/watch/_closing_columns.sql
create or replace function recovery._closing_columns(p_watch recovery.watch)
returns table (name text, option text, expression text, type text, is_json boolean, problem text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select s.name, s.option, s.expression, format_type(a.atttypid, a.atttypmod),
           coalesce(a.atttypid in ('json'::regtype, 'jsonb'::regtype), false),
           case
               when s.name = 'server_epoch' or a.attgenerated <> '' or s.name = any(p_watch.key_columns) then
                   format('column "%s" of %s cannot be set by a closing', s.name, p_watch.relation)
               when a.attnum is null then
                   format('column "%s" of %s does not exist', s.name, p_watch.relation)
               when s.option = 'attempts' then
                   case when a.atttypid not in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                             or p_watch.spec -> 'close' ? s.name or p_watch.spec -> 'requeue' ? s.name then
                       format('column "%s" must be an integer that no close or requeue expression sets', s.name)
                   end
               when s.option = 'not_before' then
                   case when a.atttypid <> 'timestamptz'::regtype
                             or p_watch.spec -> 'close' ? s.name or p_watch.spec -> 'requeue' ? s.name then
                       format('column "%s" must be a timestamptz that no close or requeue expression sets: '
                           'for another type set it in requeue, by c.at and c.attempt', s.name)
                   end
               when s.expression is null then
                   format('column "%s" has no expression: write "null" to set null', s.name)
           end
    from (
        select c.key, 'close', c.value from jsonb_each_text(p_watch.spec -> 'close') as c
        union all
        select r.key, 'requeue', r.value
        from jsonb_each_text(coalesce(nullif(p_watch.spec -> 'requeue', 'null'), '{}')) as r
        union all
        select p_watch.attempts, 'attempts', null where p_watch.attempts is not null
        union all
        select p_watch.not_before, 'not_before', null where p_watch.not_before is not null
    ) as s (name, option, expression)
    left join pg_attribute as a
        on a.attrelid = p_watch.relation and a.attname = s.name and a.attnum > 0 and not a.attisdropped
    order by s.name, s.option
$$;
--;
comment on function recovery._closing_columns(recovery.watch) is
    'The columns that the options close, requeue, attempts and not_before of a watch name, with their type and what '
    'is wrong with them.';
--;
revoke all on function recovery._closing_columns(recovery.watch) from public;
--;
-- sql/watch/_closing_error.sql
create or replace function recovery._closing_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows  jsonb[];
    v_row   jsonb;
    v_tried record;
    v_error jsonb;
    v_count integer := 0;
begin
    begin
        v_rows := array(
            select f.row
            from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
                select jsonb_build_array({parts}, r.server_epoch)
                from {relation} as r where ({open}) and ({meant}) limit 5
                $sql$, jsonb_build_object(
                'parts', recovery._key_sql(p_watch, 'parts'),
                'relation', p_watch.relation,
                'open', p_watch.open,
                'meant', coalesce(p_watch.only_if, 'true')))) as f (row));
    exception when query_canceled then
        raise;
    when others then
        v_rows := '{}';  -- a row that can't be read says nothing of the others
    end;
    foreach v_row in array v_rows loop
        v_tried := recovery._try_closing(p_watch, recovery._to_texts(v_row -> 0), (v_row ->> 1)::bigint);
        if v_tried.o_done then
            return null;
        elsif v_tried.o_error is not null then
            v_count := v_count + 1;
            v_error := coalesce(v_error, v_tried.o_error);
        end if;
    end loop;
    -- One bad row blocks nothing; some, one after the other, are no accident.
    if v_error is null or v_count < 3 and not recovery._is_certain_error(p_watch, v_error) then
        v_error := recovery._made_up_error(p_watch);
    end if;
    return v_error;
end
$$;
--;
comment on function recovery._closing_error(recovery.watch) is
    'What each closing of a watch fails with, as sqlstate, message, hint; null: nothing is known. To be called where '
    'it is taken back.';
--;
revoke all on function recovery._closing_error(recovery.watch) from public;
--;
-- sql/watch/_comment_triggers.sql
create or replace function recovery._comment_triggers(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_trigger name;
begin
    for v_trigger in
        select t.tgname from pg_trigger as t
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
          and obj_description(t.oid, 'pg_trigger') is null
    loop
        execute format('comment on trigger %I on %s is %L', v_trigger, p_table,
            'pg-recovery: owner, fence and events of work in flight; '
            'made by recovery.attach, removed by recovery.detach.');
    end loop;
end
$$;
--;
comment on function recovery._comment_triggers(regclass) is 'Says on our triggers of a table what they are.';
--;
revoke all on function recovery._comment_triggers(regclass) from public;
--;
-- sql/watch/_compile_closing.sql
create or replace function recovery._compile_closing(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := p_watch;
    v_column record;
    v_what   text;
    v_sets   jsonb := '{"close": {}, "requeue": {}}';
    v_json   boolean := false;
begin
    for v_column in select c.* from recovery._closing_columns(v_watch) as c loop
        v_what := v_column.option || ' ' || v_column.name;
        if v_column.problem is not null then
            perform recovery._fail_expression(v_watch.relation, v_what, v_column.problem);
        elsif v_column.option not in ('attempts', 'not_before') then
            v_sets[v_column.option][v_column.name] := to_jsonb((recovery._compile_expression(
                v_watch.relation, v_what, v_column.expression, v_column.type, p_closing => true)).o_text);
        end if;
        v_json := v_json or v_column.is_json;
    end loop;
    v_watch.requeue := nullif(v_sets -> 'requeue', '{}');
    v_watch.close := recovery._requeue_sql(v_watch, v_sets -> 'close', v_sets -> 'requeue');
    v_watch.canonical := case when v_watch.attempts is null then v_sets - 'requeue' else v_sets end;
    v_watch.diff := v_json and v_watch.spec ->> 'image' is null;
    v_watch.image := (recovery._compile_expression(v_watch.relation, 'image', coalesce(v_watch.spec ->> 'image', (
        select 'jsonb_build_object(' || string_agg(format('%L, r.%I', s.key, s.key), ', ' order by s.key) || ')'
        from jsonb_object_keys(v_watch.close) as s (key))), 'jsonb')).o_text;
    return v_watch;
end
$$;
--;
comment on function recovery._compile_closing(recovery.watch) is
    'Step of recovery._compile_watch: what a closing sets, and what its event records.';
--;
revoke all on function recovery._compile_closing(recovery.watch) from public;
--;
-- sql/watch/_compile_evidence.sql
create or replace function recovery._compile_evidence(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_late  text;
begin
    select c.o_text, c.o_columns into v_watch.owner, v_watch.owner_columns
    from recovery._compile_expression(v_watch.relation, 'owner', v_watch.spec ->> 'owner', 'text') as c;
    select format('column "%s" is generated: PostgreSQL computes it after the trigger that asks for the owner',
        a.attname) into v_late
    from pg_attribute as a
    where a.attrelid = v_watch.relation and a.attgenerated <> '' and a.attnum = any(v_watch.owner_columns);
    if found then
        perform recovery._fail_expression(v_watch.relation, 'owner', v_late);
    elsif v_watch.owner is not null and (v_watch.owner_columns is null or v_watch.owner ~ '\mr\.\*') then
        perform recovery._fail_expression(v_watch.relation, 'owner',
            'it reads no column of the row, or the whole row: name the columns that say whose it is');
    end if;
    v_watch.alive := (
        recovery._compile_expression(v_watch.relation, 'alive', v_watch.spec ->> 'alive', 'boolean')).o_text;
    return v_watch;
end
$$;
--;
comment on function recovery._compile_evidence(recovery.watch) is
    'Step of recovery._compile_watch: whose a row is, and whether its work is alive, by the host''s own columns and '
    'tables.';
--;
revoke all on function recovery._compile_evidence(recovery.watch) from public;
--;
-- sql/watch/_compile_expression.sql
create or replace function recovery._compile_expression(
    p_table      regclass,
    p_what       text,
    p_expression text,
    p_type       text,
    p_closing    boolean default false,
    p_stored     boolean default false,
    out o_text    text,
    out o_type    text,
    out o_columns smallint[],
    out o_plain   boolean
)
returns record
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found jsonb;
    v_why   text;
    v_state text;
    v_error text;
begin
    o_plain := true;
    if p_expression is null then
        return;
    end if;
    v_found := recovery._parse_expression(p_table, p_expression, p_type, p_closing);
    o_text := v_found ->> 'text';
    o_type := v_found ->> 'type';
    select not coalesce(bool_or(u.class = 'pg_type'::regclass and u.object >= 16384), false),
           array_agg(distinct u.part) filter (
               where u.class = 'pg_class'::regclass and u.object = p_table and u.part > 0)
    into o_plain, o_columns
    from jsonb_array_elements(v_found -> 'uses') as j (triple)
    cross join lateral (
        select (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (j.triple ->> 2)::integer::smallint
    ) as u (class, object, part);
    if p_stored then
        -- Whoever makes the index and the triggers reads its literals with its own rights.
        select d.what into v_why
        from jsonb_array_elements(v_found -> 'uses') as j (triple)
        cross join lateral recovery._untrusted_object(
            (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (recovery._runner_of(p_table)).privileged) as d (what)
        where d.what is not null limit 1;
    end if;
    if v_why is not null then
        perform recovery._fail('RC006', format('expression %s uses %s', p_expression, v_why),
            'It stands in an index and in triggers, which others than the table''s owner create and execute.');
    elsif regexp_replace(o_text, $re$'(?:[^']|'')*'|"(?:[^"]|"")*"$re$, '', 'g') ~ ';' then
        -- It will stand in statements that a caller executes with its own rights (create index).
        perform recovery._fail('RC006', format('expression %s is more than one', p_expression));
    end if;
exception
    when insufficient_privilege then
        raise;
    when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
        if v_state like 'RC%' then
            raise;
        end if;
        perform recovery._fail_expression(p_table, p_what, v_error);
end
$$;
--;
comment on function recovery._compile_expression(regclass, text, text, text, boolean, boolean) is
    'Compiles an expression over a row r of the table (and the closing c), given for the option p_what: returns it '
    'fully qualified, with its type, the columns of the table that it reads, and whether it uses built-in types only; '
    'nothing for null. p_stored: it goes into an index and triggers, and must use nothing that runs code when read.';
--;
revoke all on function recovery._compile_expression(regclass, text, text, text, boolean, boolean) from public;
--;
-- sql/watch/_compile_row.sql
create or replace function recovery._compile_row(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_spec  jsonb := p_watch.spec;
begin
    select c.o_text, c.o_columns, c.o_plain into v_watch.open, v_watch.open_columns, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'open', v_spec ->> 'open', 'boolean', p_stored => true) as c;
    select c.o_text, c.o_type, v_watch.open_columns || c.o_columns, v_watch.plain and c.o_plain
    into v_watch.group_by, v_watch.group_type, v_watch.open_columns, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'group', v_spec ->> 'group', null, p_stored => true) as c;
    v_watch.parent := (
        recovery._compile_expression(v_watch.relation, 'parent', v_spec ->> 'parent', v_watch.group_type)).o_text;
    v_watch.only_if := (
        recovery._compile_expression(v_watch.relation, 'only', v_spec ->> 'only', 'boolean')).o_text;
    select c.o_text, v_watch.plain and c.o_plain into v_watch.started, v_watch.plain
    from recovery._compile_expression(v_watch.relation, 'started',
        coalesce(v_watch.supervised ->> 'started', v_spec ->> 'started'), 'timestamptz', p_stored => true) as c;
    -- A view column cannot be a record, so the row is compiled inside a test and taken out again.
    v_watch.order_by := substring((
        recovery._compile_expression(
            v_watch.relation, 'order', 'row(' || (v_spec ->> 'order') || ') is null', 'boolean')
    ).o_text from '^\((.*) IS NULL\)$');
    return v_watch;
end
$$;
--;
comment on function recovery._compile_row(recovery.watch) is
    'Step of recovery._compile_watch: what an open row is, its group, its order, when it began.';
--;
revoke all on function recovery._compile_row(recovery.watch) from public;
--;
-- sql/watch/_compile_supervision.sql
create or replace function recovery._compile_supervision(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_given jsonb := p_watch.supervised;
    v_table regclass := p_watch.relation;
begin
    if v_given is null then
        v_watch.cancel := 'row';
        v_watch.kind := null;
        v_watch.activity := null;
        v_watch.timeout := null;
        v_watch.hold := null;
        v_watch.child := null;
        return v_watch;
    end if;
    perform recovery._check_supervision(v_watch);
    v_watch.cancel := v_given ->> 'cancel';
    v_watch.kind := (recovery._compile_expression(v_table, 'kind', v_given ->> 'kind', 'text')).o_text;
    v_watch.activity := (
        recovery._compile_expression(v_table, 'activity', v_given ->> 'activity', 'timestamptz')).o_text;
    v_watch.timeout := (recovery._compile_expression(v_table, 'timeout', v_given ->> 'timeout', 'interval')).o_text;
    v_watch.hold := (recovery._compile_expression(v_table, 'hold', v_given ->> 'hold', 'boolean')).o_text;
    v_watch.child := (
        recovery._compile_expression(v_table, 'child', v_given ->> 'child', v_watch.group_type)).o_text;
    return v_watch;
end
$$;
--;
comment on function recovery._compile_supervision(recovery.watch) is
    'Step of recovery._compile_watch: what the watchdog was told by recovery.supervise.';
--;
revoke all on function recovery._compile_supervision(recovery.watch) from public;
--;
-- sql/watch/_compile_watch.sql
create or replace function recovery._compile_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* recovery.watch is the door through which a table's owner comes in: it may write relation, spec, path,
   supervised and attached, for its own tables. Everything else in the row is made here, from what PostgreSQL prints
   when the owner's runner reads the expressions. */
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform recovery._check_table(new.relation);
    perform recovery._check_options(new.relation, new.spec);
    new := recovery._read_options(new);
    new := recovery._read_table(new, tg_op = 'INSERT');
    new := recovery._compile_row(new);
    new := recovery._compile_evidence(new);
    new := recovery._compile_closing(new);
    new := recovery._compile_supervision(new);
    new.canonical := recovery._canonical_spec(new, new.canonical);
    new.uses := recovery._compile_uses(new);
    new.checked := recovery._table_state(new);
    perform recovery._check_family(new);
    new.outbox := coalesce(
        (select min(w.outbox) from recovery.watch as w where w.family = new.family and w.id <> new.id), new.id);
    return new;
end
$$;
--;
comment on function recovery._compile_watch() is
    'Trigger function of recovery.watch: checks what an owner has written there and makes all other columns from it. '
    'RC006 cannot work, RC007 the name is taken, 42501 the owner is not permitted.';
--;
revoke all on function recovery._compile_watch() from public;
--;
-- sql/watch/_complete_watch.sql
create or replace function recovery._complete_watch(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._make_definitions(p_watch);
    perform recovery._comment_triggers(p_watch.relation);
    perform recovery._rehearse_watch(p_watch.relation);
end
$$;
--;
comment on function recovery._complete_watch(recovery.watch) is
    'Last steps of attach and supervise: makes the index and the triggers that a watch lacks, and plans its '
    'statements. RC006 they cannot work, 42501 no right to make an index.';
--;
revoke all on function recovery._complete_watch(recovery.watch) from public;
--;
-- sql/watch/_define_watch.sql
create or replace function recovery._define_watch(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_define record;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    for v_define in select d.name, d.statement from recovery._watch_definitions(v_watch) as d loop
        perform recovery._run_as_owner(v_watch.runner, v_define.statement, null, 'make');
    end loop;
    perform recovery._check_definitions(p_table);
end
$$;
--;
comment on function recovery._define_watch(regclass) is
    'Makes the index and the triggers of a watch that its table does not have, as the runner: whoever makes them '
    'reads the literals in them. Whoever may call it, it makes what the watch says.';
--;
revoke all on function recovery._define_watch(regclass) from public;
--;
-- sql/watch/_differs.sql
create or replace function recovery._differs(p_before recovery.watch, p_after recovery.watch)
returns boolean
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Compiled, an expression is as PostgreSQL prints it, however it was spelled.
    select to_jsonb(p_before) - v.given <> to_jsonb(p_after) - v.given
    from (values (array['spec', 'path', 'supervised', 'attached', 'runner', 'outbox', 'canonical', 'uses',
                        'checked', 'told'])) as v (given)
$$;
--;
comment on function recovery._differs(recovery.watch, recovery.watch) is
    'Whether two registrations of a table mean something else, and are not only spelled otherwise.';
--;
revoke all on function recovery._differs(recovery.watch, recovery.watch) from public;
--;
-- sql/watch/_drop_triggers.sql
create or replace function recovery._drop_triggers(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_trigger name;
begin
    for v_trigger in
        select t.tgname from pg_trigger as t
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgparentid = 0
    loop
        execute format('drop trigger %I on %s', v_trigger, p_table);
    end loop;
end
$$;
--;
comment on function recovery._drop_triggers(regclass) is 'Removes our triggers from a table.';
--;
revoke all on function recovery._drop_triggers(regclass) from public;
--;
-- sql/watch/_event_sql.sql
create or replace function recovery._event_sql(
    p_watch recovery.watch, p_row text, p_kind text, p_old text, p_new text, p_diff boolean, p_live boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_from text := '';
begin
    if p_live then
        v_from := recovery._render_sql($sql$
                from recovery.server as s
        {difference}
                where s.epoch = {row}.server_epoch and s.ended is null and s.pending is null and s.drain_until is null
        $sql$, jsonb_build_object('row', p_row, 'difference', case when p_diff
            then format('        cross join lateral recovery._json_difference(%s, %s) as d', p_old, p_new)
                else '' end));
    elsif p_row = 'r' then
        v_from := format('        from @TABLE@ as r where %s', p_watch.open);
    elsif p_diff then
        v_from := format('        from recovery._json_difference(%s, %s) as d', p_old, p_new);
    end if;
    if p_watch.events = 'closed' then
        return case when p_live then '        perform ' || ltrim(v_from) || ';' else '' end;
    end if;
    return recovery._render_sql($sql$
            insert into recovery.outbox_{outbox}_single
                (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
            select {row}.server_epoch, {watch!l}, {kind}, {topic!l}, {key}, {group},
                   nullif(current_setting('recovery.reason', true), ''), 'writer', {values}{from};
    $sql$, jsonb_build_object(
        'outbox', p_watch.outbox,
        'row', p_row,
        'watch', p_watch.name,
        'kind', p_kind,
        'topic', p_watch.topic,
        'key', recovery._row_key_sql(p_watch, p_row),
        'group', coalesce('(' || recovery._realias_sql(p_watch.group_by, p_row) || ')::text', 'null'),
        'values', case when p_diff then 'd.old, d.new' else p_old || ', ' || p_new end,
        'from', case v_from when '' then '' else E'\n' || v_from end));
end
$function$;
--;
comment on function recovery._event_sql(recovery.watch, text, text, text, text, boolean, boolean) is
    'The statement of a trigger function that writes an event of the row old, new or r (every open one): p_live only '
    'if its epoch lives, p_diff only what differs. Nothing for a watch that tells only what recovery does.';
--;
revoke all on function recovery._event_sql(recovery.watch, text, text, text, text, boolean, boolean) from public;
--;
-- sql/watch/_fail_expression.sql
create or replace function recovery._fail_expression(p_table regclass, p_what text, p_problem text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._fail('RC006', format('the %s expression for %s does not work: %s', p_what, p_table, p_problem),
        'Expressions see one row r of the table (in close also c.reason, c.message, c.at, c.ms, c.epoch) '
        'and are read with search_path pg_catalog: qualify your own types and functions.');
end
$$;
--;
comment on function recovery._fail_expression(regclass, text, text) is
    'Refuses an expression: RC006. p_what: the option that it was given for, and the column.';
--;
revoke all on function recovery._fail_expression(regclass, text, text) from public;
--;
-- sql/watch/_find_index.sql
create or replace function recovery._find_index(p_table regclass, p_name text)
returns regclass
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- In the catalog: to name it one would need a right on its schema.
    select i.oid::regclass from pg_class as t join pg_class as i on i.relnamespace = t.relnamespace
    where t.oid = p_table and i.relname = p_name
$$;
--;
comment on function recovery._find_index(regclass, text) is 'The relation of that name beside a table; null: none.';
--;
revoke all on function recovery._find_index(regclass, text) from public;
--;
-- sql/watch/_finish_attach.sql
create or replace function recovery._finish_attach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    -- While nobody waits for it.
    perform recovery._prepare_runner(p_table);
    perform recovery._yield_triggers(w) from recovery.watch as w where w.relation = p_table;
    update recovery.watch as w set path = w.path, attached = coalesce(w.attached, clock_timestamp())
    where w.relation = p_table returning w.* into strict v_watch;
    perform recovery._rehearse_watch(p_table);
    perform recovery._rehearse_closing(p_table);
    if exists (
        select from pg_trigger as t
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and not t.tgisinternal)
    then
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
    else
        perform recovery._lock_table(p_table, 'share row exclusive');
    end if;
    perform recovery._make_definitions(v_watch);
    perform recovery._comment_triggers(p_table);
end
$$;
--;
comment on function recovery._finish_attach(regclass) is
    'Last step of recovery.attach_steps: rehearses a closing, makes the triggers in a short transaction, and puts the '
    'watch in force. RC006 it cannot work.';
--;
revoke all on function recovery._finish_attach(regclass) from public;
--;
-- sql/watch/_fixed_values_error.sql
create or replace function recovery._fixed_values_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_check  record;
    v_task   recovery.task;
    v_values text;
    v_holds  jsonb;
    v_state  text;
    v_error  text;
begin
    v_task.written := clock_timestamp();
    for v_check in
        select c.conname as name, pg_get_expr(c.conbin, c.conrelid) as text, c.conkey as key
        from pg_constraint as c
        where c.conrelid = p_watch.relation and c.contype = 'c' and cardinality(c.conkey) > 0
          and recovery._is_certain_error(p_watch, jsonb_build_object('sqlstate', '23514', 'constraint', c.conname))
        union all
        select null, 'true', array[a.attnum]
        from pg_attribute as a
        where a.attrelid = p_watch.relation and p_watch.close ? a.attname
            and recovery._is_certain_error(p_watch, jsonb_build_object('sqlstate', '23502', 'column', a.attname))
        order by name
    loop
        select string_agg(format('(%s)::%s as %I', p_watch.close ->> a.attname,
            format_type(a.atttypid, a.atttypmod), a.attname), ', ')
        into v_values
        from pg_attribute as a where a.attrelid = p_watch.relation and a.attnum = any(v_check.key);
        begin
            select f.holds into v_holds from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
                select to_jsonb(({check}) is not false)
                from (
                    select {values}
                    from (values ({message!l}, 'superseded', 'rehearsal', ($1).written, 0::bigint, 0::bigint))
                        as c (message, reason, detector, at, ms, epoch)
                    cross join (values (0)) as r ({attempts!i})
                    offset 0) as {table!i}
                $sql$, jsonb_build_object(
                'check', v_check.text,
                'values', v_values,
                'message', recovery._reason_message('superseded'),
                'attempts', coalesce(p_watch.attempts, 'recovery_none'),
                'table', (select c.relname from pg_class as c where c.oid = p_watch.relation))), v_task) as f (holds);
            if v_holds = 'false' then
                return jsonb_build_object('sqlstate', '23514', 'message', format(
                    'new row for relation "%s" violates check constraint "%s"',
                    (select c.relname from pg_class as c where c.oid = p_watch.relation), v_check.name));
            end if;
        exception when query_canceled then
            raise;
        when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
            if v_state like '22%' or v_state like '23%' then
                return jsonb_build_object('sqlstate', v_state, 'message', v_error);
            end if;
        end;
    end loop;
    return null;
end
$$;
--;
comment on function recovery._fixed_values_error(recovery.watch) is
    'As recovery._closing_error, where no row can be had: which CHECK or type refuses the values that a closing sets '
    'whatever the row is.';
--;
revoke all on function recovery._fixed_values_error(recovery.watch) from public;
--;
-- sql/watch/_forget_watch.sql
create or replace function recovery._forget_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
begin
    foreach v_name in array
        array['before_insert', 'before_update', 'before_delete', 'insert', 'update', 'delete', 'truncate']
    loop
        execute format('drop function if exists recovery.watch_%s_%s()', old.id, v_name);
    end loop;
    if exists (select from recovery.watch as w where w.family = old.family) then
        perform recovery._create_outbox(old.outbox, old.family);
    else
        perform recovery._drop_outbox(old.outbox);
        delete from recovery.fuse as f where f.family = old.family;
        delete from recovery.touch as t where t.family = old.family;
        delete from recovery.cancellation as c where c.family = old.family;
    end if;
    delete from recovery.failure as f where f.watch = old.name;
    delete from recovery.partition as p where p.watch = old.id;
    delete from recovery.lifeless as l where l.watch = old.name;
    delete from recovery.look as k where k.watch = old.name;
    delete from recovery.broken_watch as b where b.watch = old.name;
    delete from recovery.blind_watch as b where b.watch = old.name;
    delete from recovery.cancellation as c where c.scope = 'row' and c.watch = old.name;
    delete from recovery.touch as t where t.scope = 'row' and t.watch = old.name;
    return null;
end
$$;
--;
comment on function recovery._forget_watch() is
    'Trigger function of recovery.watch: removes what was made for a watch. Fails while the table still has its '
    'triggers. Events stay.';
--;
revoke all on function recovery._forget_watch() from public;
--;
-- sql/watch/_gave_up_sql.sql
create or replace function recovery._gave_up_sql(p_expression text, p_max_attempts integer)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Tokens: a string, a quoted name, c.message, another word, any other character.
    select string_agg(case when t.token[1] = 'c.message'
        then format('(c.message || %L)',
            format('; gave up after %s attempt%s', p_max_attempts, case p_max_attempts when 1 then '' else 's' end))
        else t.token[1] end, '' order by t.n)
    from regexp_matches(p_expression, $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|\mc\.message\M|[a-zA-Z0-9_$]+|.)$re$, 'g')
         with ordinality as t (token, n)
$$;
--;
comment on function recovery._gave_up_sql(text, integer) is
    'A compiled close expression whose message says after how many attempts it gave up.';
--;
revoke all on function recovery._gave_up_sql(text, integer) from public;
--;
-- sql/watch/_generate_watch.sql
create or replace function recovery._generate_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner;
    v_views  text[];
    v_name   text;
    v_names  text[] := array['before_insert', 'before_update', 'insert', 'update', 'delete', 'truncate'];
begin
    if (select c.relkind from pg_class as c where c.oid = new.relation) = 'p' then
        v_names := v_names || 'before_delete'::text;
    end if;
    select r.* into strict v_runner from recovery.runner as r where r.id = new.runner;
    -- Only if it has to: whoever writes the table would wait for it.
    v_views := recovery._outbox_views(new.outbox);
    if tg_op = 'INSERT' or exists (select from unnest(v_views) as v (name) where to_regclass(v.name) is null)
        or (old.name, old.family, old.outbox) is distinct from (new.name, new.family, new.outbox)
    then
        perform recovery._create_outbox(new.outbox, new.family);
    end if;
    if exists (
        select from unnest(v_views) as v (name) where not has_table_privilege(v_runner.role, v.name, 'insert')
    ) then
        execute format('grant insert on %s to %I', array_to_string(v_views, ', '), v_runner.role);
    end if;
    -- Made by the runner itself, which may create here only until these lines are done: so they belong to it,
    -- and nobody has to be its member.
    execute format('grant create on schema recovery to %I', v_runner.role);
    foreach v_name in array v_names loop
        if exists (
            select from pg_proc as p
            where p.pronamespace = 'recovery'::regnamespace and p.proname = format('watch_%s_%s', new.id, v_name)
              and p.proowner <> (select o.oid from pg_roles as o where o.rolname = v_runner.role)
        ) then
            execute format('drop function recovery.watch_%s_%s()', new.id, v_name);  -- the table has another owner now
        end if;
        perform recovery._run_as_owner(new.runner, recovery._render_sql($sql$
            create or replace function {function}()
            returns trigger
            language plpgsql
            volatile
            security definer
            set search_path = pg_catalog, pg_temp
            as {body!l};
            comment on function {function}() is {comment!l};
            revoke all on function {function}() from public;
            grant execute on function {function}() to {owner}
            $sql$, jsonb_build_object(
            'function', format('recovery.watch_%s_%s', new.id, v_name),
            'body', recovery._trigger_sql(new, v_name),
            'comment', format('Generated for watch "%s": owner, fence and events of its rows, %s.',
                              new.name, replace(v_name, '_', ' ')),
            'owner', v_runner.owner)), null, 'make');
    end loop;
    execute format('revoke create on schema recovery from %I', v_runner.role);
    perform recovery._note_partitions(null, new.id);
    perform recovery._note_whole_watch(new.name);
    return null;
end
$$;
--;
comment on function recovery._generate_watch() is
    'Trigger function of recovery.watch: makes the trigger functions of a watch, which belong to its runner, and the '
    'view through which they append events.';
--;
revoke all on function recovery._generate_watch() from public;
--;
-- sql/watch/_group_tree.sql
create or replace function recovery._group_tree(p_family text, p_groups text[], p_upward boolean)
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_head   recovery.watch;
    v_task   recovery.task;
    v_groups jsonb;
begin
    select w.* into v_head from recovery._attached_watches() as w where w.family = p_family and w.parent is not null;
    if not found or p_groups is null then
        return p_groups;
    end if;
    v_task.keys := p_groups;
    v_task.max_rows := p_upward::integer;
    select t.* into v_groups from recovery._run_as_owner(v_head.runner, recovery._render_sql($sql$
        with recursive
        up (g) as (
            select unnest(($1).keys::{type}[])
            union
            select {parent} from up join {relation} as r on {group} = up.g where ($1).max_rows = 1
                and {parent} is not null
        ),
        down (g, depth) as (
            select up.g, 0 from up
            where not exists (select from {relation} as r where {group} = up.g
                and {parent} in (select u.g from up as u))
            union
            select {group}, down.depth + 1 from down join {relation} as r on {parent} = down.g where down.depth < 100
        ),
        every (g, depth) as (
            select x.g, max(x.depth)
            from (select down.g, down.depth from down union all select up.g, 0 from up) as x
            group by x.g
        )
        select to_jsonb(array_agg(g order by depth desc, g)::text[]) from every
        $sql$, jsonb_build_object(
        'relation', v_head.relation,
        'parent', v_head.parent,
        'group', v_head.group_by,
        'type', v_head.group_type)), v_task) as t;
    return recovery._to_texts(v_groups);
end
$$;
--;
comment on function recovery._group_tree(text, text[], boolean) is
    'Groups with all their descendants, and with p_upward their ancestors too, deepest first; as they are where a '
    'family has no parent expression. Cycles end at depth 100.';
--;
revoke all on function recovery._group_tree(text, text[], boolean) from public;
--;
-- sql/watch/_has_open_work.sql
create or replace function recovery._has_open_work(p_unit recovery.unit)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from recovery._unit_rows(p_unit));
exception when others then
    perform recovery._note_broken_watch(p_unit.watch, sqlstate, sqlerrm);
    return false;
end
$$;
--;
comment on function recovery._has_open_work(recovery.unit) is
    'Whether anything of a unit is open, with what it waits for and all descendants; false if that cannot be told, '
    'and then the watch is noted as broken.';
--;
revoke all on function recovery._has_open_work(recovery.unit) from public;
--;
-- sql/watch/_has_rewriting_trigger.sql
create or replace function recovery._has_rewriting_trigger(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- 19: FOR EACH ROW, BEFORE, UPDATE.
    select exists (
        select from pg_trigger as t
        where t.tgenabled <> 'D' and t.tgtype::integer & 19 = 19 and t.tgname !~ '^zz_recovery_[0-9]{2}_'
          and t.tgrelid in (select p_table union select p.relid from pg_partition_tree(p_table) as p))
$$;
--;
comment on function recovery._has_rewriting_trigger(regclass) is
    'Whether a trigger of the host may change a row on its way into the table, or into one of its partitions: BEFORE '
    'UPDATE FOR EACH ROW.';
--;
revoke all on function recovery._has_rewriting_trigger(regclass) from public;
--;
-- sql/watch/_index_problem.sql
create or replace function recovery._index_problem(
    p_watch recovery.watch, p_kind text, p_suffix text default '', out problem text, out remedy text
)
returns record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name  text := format('recovery_%s_%s%s', p_kind, p_watch.id, p_suffix);
    v_index record;
    v_bad   regclass;
    v_is    text;
    v_as    text;
begin
    select c.oid::regclass as name, i.indexrelid, i.indrelid, i.indisvalid and i.indisready and i.indislive as well,
           t.relname as of, i.indnkeyatts as columns
    into v_index
    from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace and c.relname = v_name
    left join pg_index as i on i.indexrelid = c.oid
    where t.oid = p_watch.relation;
    if not found then
        return;  -- recovery._watch_definitions says so
    elsif v_index.indrelid is distinct from p_watch.relation then
        problem := format('%s is not its index', v_index.name);
        remedy := format('rename %s, then call recovery.attach again', v_index.name);
        return;
    end if;
    -- Of a partitioned table's index every leaf's counts.
    select i.indexrelid into v_bad from pg_partition_tree(v_index.indexrelid) as p
        join pg_index as i on i.indexrelid = p.relid
    where p.isleaf and not (i.indisvalid and i.indisready and i.indislive) limit 1;
    if v_bad is not null or not v_index.well then
        problem := format('index %s is invalid: each sweep reads the whole table', coalesce(v_bad, v_index.name));
        remedy := format('reindex index concurrently %s;', coalesce(v_bad, v_index.name));
        return;
    end if;
    select concat(string_agg(pg_get_indexdef(v_index.indexrelid, n, false), ','), '|',
        pg_get_expr(i.indpred, i.indrelid)) into v_is
    from pg_index as i cross join generate_series(1, v_index.columns) as n where i.indexrelid = v_index.indexrelid
        group by i.indexrelid;
    v_as := case p_kind
        when 'open' then concat('server_epoch,', p_watch.group_by || ',', (
            select string_agg(quote_ident(k.name), ',' order by k.n)
                from unnest(p_watch.key_columns) with ordinality as k (name, n)), '|', p_watch.open)
        else concat(p_watch.started, '|', p_watch.open, ' AND ', p_watch.started, ' IS NOT NULL') end;
    -- As an index prints it: without the alias, but for a whole row.
    v_as := replace(replace(recovery._realias_sql(v_as, E'\x01'), E'\x01.*', quote_ident(v_index.of) || '.*'), E'\x01.',
        '');
    if recovery._bare_sql(v_is) <> recovery._bare_sql(v_as) then
        problem := format('index %s is not the one that recovery.attach made', v_index.name);
        remedy := format('drop index %s; then call recovery.attach again', v_index.name);
    end if;
end
$$;
--;
comment on function recovery._index_problem(recovery.watch, text, text) is
    'What is wrong with the index recovery_<kind>_<id> (kind open or started) of a watch: another table''s, invalid, '
    'another definition; null: nothing. That it is missing, recovery._watch_definitions says.';
--;
revoke all on function recovery._index_problem(recovery.watch, text, text) from public;
--;
-- sql/watch/_index_sql.sql
create or replace function recovery._index_sql(
    p_watch recovery.watch, p_kind text, p_table regclass default null, p_name text default null, p_how text default ''
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
    -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
    select recovery._render_sql(
        case p_kind
            when 'open' then
                'create index {how}{name!i} on {only}{relation} (server_epoch{group}, {key}) where ({open})'
            when 'started' then
                'create index {how}{name!i} on {only}{relation} (({started}))'
                ' where ({open}) and ({started}) is not null'
        end,
        jsonb_build_object(
            'how', case p_how when 'concurrently' then 'concurrently ' else '' end,
            'only', case p_how when 'only' then 'only ' else '' end,
            'name', coalesce(p_name, format('recovery_%s_%s', p_kind, p_watch.id)),
            'relation', t.name,
            'open', recovery._realias_sql(p_watch.open, t.name))
        || case p_kind
            when 'open' then jsonb_build_object(
                'group', coalesce(', (' || recovery._realias_sql(p_watch.group_by, t.name) || ')', ''),
                'key', (select string_agg(quote_ident(k.name), ', ' order by k.n)
                        from unnest(p_watch.key_columns) with ordinality as k (name, n)))
            else jsonb_build_object('started', recovery._realias_sql(p_watch.started, t.name)) end)
    from (values (coalesce(p_table, p_watch.relation)::text)) as t (name)
$function$;
--;
comment on function recovery._index_sql(recovery.watch, text, regclass, text, text) is
    'The statement that makes an index of a watch: open, by owner, group and key; started, for the watchdog. '
    'p_table: of one of its partitions instead; p_how: concurrently, or only (of a partitioned table).';
--;
revoke all on function recovery._index_sql(recovery.watch, text, regclass, text, text) from public;
--;
-- sql/watch/_index_steps.sql
create or replace function recovery._index_steps(
    p_watch recovery.watch, p_kind text, p_suffix text, p_lock_timeout interval
)
returns table (what text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* What a client still has to execute, each statement by itself, until the index stands: nobody waits meanwhile.
   What an interruption has left invalid goes first. Of a partitioned table the index on the parent is only an entry
   in the catalog; each partition gets its own, named by what it is, and joins it. */
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_name   text := format('recovery_%s_%s%s', p_kind, p_watch.id, p_suffix);
    v_root   regclass := recovery._find_index(p_watch.relation, v_name);
    v_flaw   record;
    v_wrong  boolean;
    v_sum    text := left(md5(recovery._index_sql(p_watch, p_kind)), 6);
    v_joined jsonb := '{}';
    v_node   record;
    v_found  regclass;
    v_well   boolean;
    v_index  text;
begin
    v_flaw := recovery._index_problem(p_watch, p_kind, p_suffix);
    if v_flaw.problem like '% is not its index' then
        perform recovery._fail('RC006', v_flaw.problem, v_flaw.remedy);
    end if;
    v_wrong := coalesce(v_flaw.problem like '% is not the one that %', false);
    if v_root is not null and not v_wrong then
        select jsonb_object_agg(i.indrelid::oid, i.indexrelid::regclass) into v_joined
        from pg_partition_tree(v_root) as t join pg_index as i on i.indexrelid = t.relid;
    end if;
    for v_node in
        select n.relid, n.parentrelid, n.isleaf, n.level, c.relnamespace::regnamespace as schema
        from pg_partition_tree(p_watch.relation) as n join pg_class as c on c.oid = n.relid
        union all
        select p_watch.relation, null, true, 0, v_schema
        where not exists (select from pg_partition_tree(p_watch.relation))
        order by level, relid
    loop
        v_index := v_joined ->> v_node.relid::oid::text;
        if v_node.level > 0 and v_index is not null then
            if v_node.isleaf and exists (
                select from pg_partition_tree(v_root) as t join pg_index as i on i.indexrelid = t.relid
                where i.indrelid = v_node.relid and not (i.indisvalid and i.indisready))
            then
                what := 'reindex ' || v_index;
                statement := 'reindex index concurrently ' || v_index;
                return next;
            end if;
            continue;
        end if;
        if v_node.level > 0 then
            v_name := format('recovery_%s_%s%s_%s_%s', p_kind, p_watch.id, p_suffix, v_node.relid::oid, v_sum);
        end if;
        v_index := format('%s.%I', v_node.schema, v_name);
        v_found := recovery._find_index(v_node.relid, v_name);
        v_well := v_found is not null and (v_node.level > 0 or not v_wrong) and (
            not v_node.isleaf or exists (
                select from pg_index as i where i.indexrelid = v_found and i.indisvalid and i.indisready));
        if v_found is not null and not v_well then
            what := 'drop index ' || v_name;
            statement := case when v_node.isleaf then 'drop index concurrently ' || v_index
                              else recovery._brief_sql('drop index ' || v_index, p_lock_timeout) end;
            return next;
        elsif v_found is not null then
            v_joined := v_joined || jsonb_build_object(v_node.relid::oid, v_index);
        end if;
        if not v_joined ? v_node.relid::oid::text then
            what := 'create index ' || v_name;
            statement := recovery._index_sql(p_watch, p_kind, v_node.relid, v_name,
                case when v_node.isleaf then 'concurrently' else 'only' end);
            if not v_node.isleaf then
                statement := recovery._brief_sql(statement, p_lock_timeout);
            end if;
            return next;
            v_joined := v_joined || jsonb_build_object(v_node.relid::oid, v_index);
        end if;
        if v_node.level > 0 then
            what := 'attach index ' || v_name;
            statement := recovery._brief_sql(format('alter index %s attach partition %s',
                v_joined ->> v_node.parentrelid::oid::text, v_index), p_lock_timeout);
            return next;
        end if;
    end loop;
end
$$;
--;
comment on function recovery._index_steps(recovery.watch, text, text, interval) is
    'The statements that are missing until the index recovery_<kind>_<id><suffix> of a watch stands, for a client to '
    'execute one by one: they cannot be executed in a function, or block nobody only if each is a transaction.';
--;
revoke all on function recovery._index_steps(recovery.watch, text, text, interval) from public;
--;
-- sql/watch/_is_certain_error.sql
create or replace function recovery._is_certain_error(p_watch recovery.watch, p_error jsonb)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with
    fixed as (
        -- What a closing sets without a look at the row.
        select s.key::name as name from jsonb_each_text(p_watch.close) as s
        where p_watch.attempts is null and s.value !~ '\mr\.'
           or p_watch.attempts is not null and s.key <> p_watch.attempts
               and regexp_replace(
                   case when p_watch.max_attempts = 1 then p_watch.spec -> 'close' else p_watch.spec -> 'requeue' end
                       ->> s.key, $re$'(?:[^']|'')*'|\mc\.[a-z]+$re$, '', 'g') !~ format('\m(r\.|%s)\M', (
                       select string_agg(a.attname, '|') from pg_attribute as a
                       where a.attrelid = p_watch.relation and a.attnum > 0 and a.attname ~ '^[a-z_0-9]+$'))
    ),
    as_given as (
        select not exists (
            select from jsonb_object_keys(p_watch.close) as s (key)
            where s.key not in (select f.name from fixed as f) and s.key is distinct from p_watch.attempts) as all_fixed
    )
    select case
        -- Names, rights, syntax: of the host's triggers.
        when p_error ->> 'sqlstate' like '42%' then true
        when p_error ->> 'sqlstate' ~ '^(22|RC)' or p_error ->> 'type' is not null then
            (select g.all_fixed from as_given as g)
        when p_error ->> 'sqlstate' = '23502' then p_error ->> 'column' in (select f.name from fixed as f)
        when p_error ->> 'sqlstate' in ('23503', '23514') then coalesce((
            select bool_and(a.attname in (select f.name from fixed as f))
            from pg_constraint as c cross join lateral unnest(c.conkey) as k (attnum)
            join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
            where c.conrelid = p_watch.relation and c.conname = p_error ->> 'constraint'), false)
        else false
    end
$$;
--;
comment on function recovery._is_certain_error(recovery.watch, jsonb) is
    'Whether an error of a rehearsed closing would meet each row: a constraint over nothing but what the closing sets '
    'to the same values always, a name or right that a trigger lacks.';
--;
revoke all on function recovery._is_certain_error(recovery.watch, jsonb) from public;
--;
-- sql/watch/_is_decided_late.sql
create or replace function recovery._is_decided_late(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped and a.attgenerated <> ''
          and (a.attnum = any(p_watch.open_columns) or p_watch.open ~ '\mr\.\*'))
$$;
--;
comment on function recovery._is_decided_late(recovery.watch) is
    'Whether the open predicate reads a generated column: PostgreSQL computes it after the BEFORE triggers, which do '
    'not know yet whether the row is open.';
--;
revoke all on function recovery._is_decided_late(recovery.watch) from public;
--;
-- sql/watch/_is_group_open.sql
create or replace function recovery._is_group_open(p_family text, p_groups text[])
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_open  boolean;
    v_task  recovery.task;
begin
    v_task.keys := p_groups;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family and w.group_by is not null
        order by w.position
    loop
        v_task.epochs := recovery._open_epochs(v_watch.name);
        select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select to_jsonb(
                exists (
                    select from unnest(($1).keys::{type}[]) as g (g)
                    cross join unnest(($1).epochs) as e (epoch)
                    cross join lateral (
                        select from {relation} as r
                        where r.server_epoch = e.epoch and {in_group} and ({open}) and ({meant}) limit 1) as r)
                or exists (
                    select from unnest(($1).keys::{type}[]) as g (g)
                    cross join lateral (
                        select from {relation} as r
                        where r.server_epoch is null and {in_group} and ({open}) and ({meant}) limit 1) as r))
            $sql$,
            jsonb_build_object(
                'type', v_watch.group_type,
                'relation', v_watch.relation,
                'in_group', recovery._key_sql(v_watch, 'group'),
                'open', v_watch.open,
                'meant', coalesce(v_watch.only_if, 'true'))), v_task) as o;
        if v_open then
            return true;
        end if;
    end loop;
    return false;
end
$$;
--;
comment on function recovery._is_group_open(text, text[]) is
    'Whether any row of these groups is open, whoever owns it.';
--;
revoke all on function recovery._is_group_open(text, text[]) from public;
--;
-- sql/watch/_is_replicated.sql
create or replace function recovery._is_replicated(p_family text)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A disabled subscription counts: its publisher goes on. With publish_via_partition_root the root is its target,
    -- else the leaves. A family closes together, so one such table is enough.
    with recursive t (oid) as (
        select coalesce(pg_partition_root(w.relation)::oid, w.relation::oid) from recovery._attached_watches() as w
        where w.family = p_family and exists (select from pg_subscription_rel)
        union
        select i.inhrelid from t join pg_inherits as i on i.inhparent = t.oid
    )
    select exists (select from t join pg_subscription_rel as s on s.srrelid = t.oid)
$$;
--;
comment on function recovery._is_replicated(text) is
    'Whether a subscription of logical replication, enabled or not, writes a table of this family: rows in it may be '
    'live at the publisher.';
--;
revoke all on function recovery._is_replicated(text) from public;
--;
-- sql/watch/_is_stale.sql
create or replace function recovery._is_stale(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._lacks_loan(p_table)
        or recovery._has_rewriting_trigger(p_table)
       and exists (select from pg_trigger as t where t.tgrelid = p_table and t.tgname = 'recovery_20_update'
           and t.tgattr::text <> '')
$$;
--;
comment on function recovery._is_stale(regclass) is
    'Whether the host has added a BEFORE UPDATE trigger since the table was attached: what that changes in columns '
    'that the statement does not name is not noticed until recovery.attach is called again; or triggers in a '
    'superuser''s table, whose runner is lent what they may write when it is attached.';
--;
revoke all on function recovery._is_stale(regclass) from public;
--;
-- sql/watch/_key_parts.sql
create or replace function recovery._key_parts(p_watch recovery.watch, p_key text)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when cardinality(p_watch.key_columns) = 1 then array[p_key]
                else (select array_agg(k.part order by k.n)
                    from jsonb_array_elements_text(p_key::jsonb) with ordinality as k (part, n)) end
$$;
--;
comment on function recovery._key_parts(recovery.watch, text) is 'The columns of a primary key as events carry it.';
--;
revoke all on function recovery._key_parts(recovery.watch, text) from public;
--;
-- sql/watch/_key_sql.sql
create or replace function recovery._key_sql(p_watch recovery.watch, p_form text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_form
        when 'columns' then string_agg(format('r.%I', c.name), ', ' order by c.n)
        when 'parts' then format('array[%s]', string_agg(format('(r.%I)::text', c.name), ', ' order by c.n))
        when 'between' then recovery._render_sql(
            '(($1).keys is null or ({columns}) > ({after})) and (($1).bound is null or ({columns}) <= ({bound}))',
            jsonb_build_object(
                'columns', string_agg(format('r.%I', c.name), ', ' order by c.n),
                'after', string_agg(format('(($1).keys[%s])::%s', c.n, p_watch.key_types[c.n]), ', ' order by c.n),
                'bound', string_agg(format('(($1).bound[%s])::%s', c.n, p_watch.key_types[c.n]), ', ' order by c.n)))
        when 'loose' then format('(%s) is null', p_watch.group_by)
        when 'equal' then string_agg(
            format('r.%I = (($1).keys[%s])::%s', c.name, c.n, p_watch.key_types[c.n]), ' and ' order by c.n)
        when 'group' then format('%s = g.g', p_watch.group_by)
        when 'groups' then format('%s = any(($1).keys::%s[])', p_watch.group_by, p_watch.group_type)
        end
    from unnest(p_watch.key_columns) with ordinality as c (name, n)
$$;
--;
comment on function recovery._key_sql(recovery.watch, text) is
    'SQL text about the key of a row r: its columns, its parts as text[], or its comparison with the task''s keys and '
    'bound.';
--;
revoke all on function recovery._key_sql(recovery.watch, text) from public;
--;
-- sql/watch/_key_text.sql
create or replace function recovery._key_text(p_columns text[], p_alias text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when cardinality(p_columns) = 1
        then format('(%s.%I)::text', p_alias, p_columns[1])
        else (select format('jsonb_build_array(%s)::text',
            string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.n))
              from unnest(p_columns) with ordinality as c (name, n)) end
$$;
--;
comment on function recovery._key_text(text[], text) is
    'SQL text that prints the primary key of a row as events carry it.';
--;
revoke all on function recovery._key_text(text[], text) from public;
--;
-- sql/watch/_left_partitions.sql
create or replace function recovery._left_partitions(p_table regclass)
returns setof regclass
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Somebody else's by now: what is a partition elsewhere, or watched for itself.
    select p.relation
    from recovery.partition as p
    join recovery.watch as w on w.id = p.watch and w.own_column
    join pg_class as c on c.oid = p.relation and not c.relispartition
    join pg_attribute as a on a.attrelid = p.relation and a.attname = 'server_epoch' and not a.attisdropped
    where w.relation = p_table and not exists (select from recovery.watch as o where o.relation = p.relation)
$$;
--;
comment on function recovery._left_partitions(regclass) is
    'Tables that were partitions of a watched table and have been detached: they keep the column server_epoch that '
    'attach has made, and its index.';
--;
revoke all on function recovery._left_partitions(regclass) from public;
--;
-- sql/watch/_lock_holders.sql
create or replace function recovery._lock_holders(p_table regclass)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(distinct coalesce(
        format('backend %s (%s)', l.pid, concat_ws(', ', nullif(a.application_name, ''), a.usename, a.state,
            'its transaction began ' || date_trunc('second', clock_timestamp() - a.xact_start) || ' ago',
            left(regexp_replace(a.query, '\s+', ' ', 'g'), 60))),
        'a prepared transaction'), '; ')
    from pg_locks as l
    left join pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'relation' and l.granted and l.database = (
            select d.oid from pg_database as d where d.datname = current_database())
      and l.pid is distinct from pg_backend_pid()
      and l.relation in (select p_table::oid union select p.relid from pg_partition_tree(p_table) as p)
$$;
--;
comment on function recovery._lock_holders(regclass) is
    'Who holds a lock of a table or of its partitions: what an error says when a lock was not to be had. Null: nobody '
    'does any more.';
--;
revoke all on function recovery._lock_holders(regclass) from public;
--;
-- sql/watch/_lock_table.sql
create or replace function recovery._lock_table(p_table regclass, p_mode text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Whoever writes through a partitioned table locks it before its partitions. To drop a trigger or an index locks
    -- a partition first, and meets the writer half-way.
    execute format('lock table %s in %s mode', p_table, p_mode);
end
$$;
--;
comment on function recovery._lock_table(regclass, text) is
    'Locks a table, a partitioned one before its partitions, in the mode that what follows needs.';
--;
revoke all on function recovery._lock_table(regclass, text) from public;
--;
-- sql/watch/_made_up_error.sql
create or replace function recovery._made_up_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_base    text;
    v_set     jsonb;
    v_key     jsonb;
    v_done    boolean;
    v_error   jsonb;
    v_state   text;
    v_text    text;
    v_context text;
begin
    foreach v_base in array array['update', 'insert'] loop
        for v_set in select o.o from recovery._opening_values(p_watch) as o (o) loop
            v_done := false;
            v_error := null;
            begin
                v_key := recovery._make_open_row(p_watch, v_base, v_set);
                if v_key is not null then
                    select c.o_done, c.o_error into v_done, v_error
                    from recovery._try_closing(p_watch, recovery._to_texts(v_key), null) as c;
                end if;
                perform recovery._fail('RX000', 'taken back');
            exception when sqlstate 'RX000' then
                null;
            when query_canceled then
                raise;
            when others then
                -- Such a row can't be made; but names that a trigger of the host does not find, no closing finds.
                get stacked diagnostics v_state = returned_sqlstate, v_text = message_text,
                    v_context = pg_exception_context;
                if v_state like '42%' and v_context ~ 'function (?!recovery)' then
                    v_error := jsonb_build_object('sqlstate', v_state, 'message', v_text);
                end if;
            end;
            if v_done then
                return null;
            elsif v_error is not null and recovery._is_certain_error(p_watch, v_error) then
                return v_error;
            end if;
        end loop;
    end loop;
    return recovery._fixed_values_error(p_watch);
end
$$;
--;
comment on function recovery._made_up_error(recovery.watch) is
    'As recovery._closing_error, where no row is open: of a row that is made to look open, another one of the table or '
    'a new one, by trying the values that its open expression names.';
--;
revoke all on function recovery._made_up_error(recovery.watch) from public;
--;
-- sql/watch/_make_definitions.sql
create or replace function recovery._make_definitions(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner := recovery._runner_of(p_watch.relation);
    v_owner  regrole;
    v_schema regnamespace;
    v_define record;
    v_state  text;
    v_error  text;
    v_what   text;
    v_other  record;
begin
    select c.relowner, c.relnamespace into v_owner, v_schema from pg_class as c where c.oid = p_watch.relation;
    v_what := case
        when exists (
            select from pg_class as c where c.relnamespace = v_schema and c.relname = 'recovery_open_' || p_watch.id)
        then 'the started expression' else 'the open or group expression' end;
    -- What is made reaches the partitions, and may belong to others there.
    select p.relation, p.owner into v_other from recovery._partitions_of(p_watch.relation) as p
    where not v_runner.privileged and not pg_has_role(v_runner.role, p.owner, 'usage') limit 1;
    if not v_runner.privileged and v_other.relation is null and has_schema_privilege(v_owner, v_schema, 'create') then
        perform recovery._define_watch(p_watch.relation);
    elsif v_runner.privileged or p_watch.plain then
        -- With the caller's rights: the runner is no owner here, or may not make an index in this schema.
        for v_define in select d.name, d.statement from recovery._watch_definitions(p_watch) as d loop
            execute v_define.statement;
        end loop;
        perform recovery._check_definitions(p_watch.relation);
    elsif v_other.relation is not null then
        perform recovery._fail('42501', format('expressions of %s use types of the host, and its partition %s belongs '
            'to %s', p_watch.relation, v_other.relation, v_other.owner));
    else
        perform recovery._fail('42501', format('%s may not create in schema %s', v_owner, v_schema));
    end if;
exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
    if v_state like 'RC%' then
        raise;
    elsif v_state = '42501' then
        perform recovery._fail('42501', v_error,
            case when v_other.relation is null
                then format('attach makes an index beside the table: grant create on schema %s to %s;', v_schema,
                    v_owner)
                else format('alter table %s owner to %s;', v_other.relation, v_owner) end);
    end if;
    perform recovery._fail('RC006', format('%s for %s does not work: %s', v_what, p_watch.relation, v_error),
        'It stands in an index, and must be immutable.');
end
$$;
--;
comment on function recovery._make_definitions(recovery.watch) is
    'Makes the index and the triggers that the table of a watch does not have: as the runner, or with the rights of '
    'the caller where the runner may not. RC006 they cannot work, 42501 no right to make an index.';
--;
revoke all on function recovery._make_definitions(recovery.watch) from public;
--;
-- sql/watch/_make_open_row.sql
create or replace function recovery._make_open_row(p_watch recovery.watch, p_base text, p_set jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_task recovery.task;
    v_set  jsonb;
    v_row  jsonb;
    v_none jsonb;
begin
    v_task.path := p_watch.path;
    if p_base = 'insert' then
        select f.none into v_none from recovery._run_as_owner(p_watch.runner, format(
            'select pg_catalog.to_jsonb(not exists (select from %s))', p_watch.relation)) as f (none);
        if v_none <> 'true' then
            return null;  -- its rows were tried
        end if;
    end if;
    select coalesce(jsonb_object_agg(a.attname, case
            when p_set ? a.attname then p_set ->> a.attname
            when a.attname = p_watch.attempts then '0'
            else case t.typcategory
                when 'N' then '0' when 'S' then '''''' when 'B' then 'false' when 'D' then 'now()'
                when 'T' then '''0''' when 'A' then '''{}'''
                when 'E' then (select quote_literal(e.enumlabel) from pg_enum as e
                               where e.enumtypid = case t.typtype when 'd' then t.typbasetype else t.oid end
                                   order by e.enumsortorder limit 1)
                else case when t.typname in ('json', 'jsonb') then '''{}'''
                          when t.typname = 'uuid' then 'gen_random_uuid()' else '''''' end
            end end), '{}')
    into v_set
    from pg_attribute as a join pg_type as t on t.oid = a.atttypid
    where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and (p_set ? a.attname or a.attname = p_watch.attempts
          -- A default may use up a number of a sequence.
          or p_base = 'insert' and a.attnotnull and (not a.atthasdef or exists (
              select from pg_attrdef as d
              where d.adrelid = a.attrelid and d.adnum = a.attnum
                  and pg_get_expr(d.adbin, d.adrelid) ~ '\mnextval\M')));
    if p_base = 'insert' then
        select f.row into v_row from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with r as (insert into {relation} as r {values} returning {parts} as parts, ({open}) as open)
            select r.parts_and from (select case when r.open then to_jsonb(r.parts) end as parts_and from r) as r
            $sql$, jsonb_build_object(
            'relation', p_watch.relation,
            'values', case when v_set = '{}' then 'default values' else (
                select format('(%s) overriding system value values (%s)',
                    string_agg(quote_ident(s.key), ', ' order by s.key), string_agg(s.value, ', ' order by s.key))
                from jsonb_each_text(v_set) as s) end,
            'parts', recovery._key_sql(p_watch, 'parts'),
            'open', p_watch.open)), v_task, 'write') as f (row);
    elsif v_set <> '{}' then
        select f.row into v_row from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with u as (
                update {relation} as r set {set}
                where ({columns}) in (select {columns} from {relation} as r limit 3)
                returning {parts} as parts, ({open}) as open)
            select to_jsonb(u.parts) from u where u.open limit 1
            $sql$, jsonb_build_object(
            'relation', p_watch.relation,
            'set', (select string_agg(format('%I = %s', s.key, s.value), ', ') from jsonb_each_text(v_set) as s),
            'columns', recovery._key_sql(p_watch, 'columns'),
            'parts', recovery._key_sql(p_watch, 'parts'),
            'open', p_watch.open)), v_task, 'write') as f (row);
    end if;
    return v_row;
end
$$;
--;
comment on function recovery._make_open_row(recovery.watch, text, jsonb) is
    'Makes a row of the table look open, by these values: one of three that are there (update), or where there is none '
    'a new one (insert), of defaults and of empty values where the table demands some. Its key, or null. To be called '
    'where it is taken back.';
--;
revoke all on function recovery._make_open_row(recovery.watch, text, jsonb) from public;
--;
-- sql/watch/_named_owner_sql.sql
create or replace function recovery._named_owner_sql(p_watch recovery.watch, p_part text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select case when p_watch.owner is null then case p_part when 'own' then 'true' else '' end else case p_part
        when 'inserted' then recovery._render_sql($sql$
            if new.server_epoch is null and nullif({new}, '') is not null and {is_open} then
                new.server_epoch := recovery._live_epoch({new});
                return new;
            end if;
        $sql$, jsonb_build_object('is_open', s.is_open, 'new', s.new))
        when 'opened' then recovery._render_sql($sql$
            if v_opens and (new.server_epoch is null or new.server_epoch = old.server_epoch) then
                new.server_epoch := case when nullif({new}, '') is null then v_writer
                    else recovery._live_epoch({new}) end;
                return new;
            end if;
        $sql$, jsonb_build_object('new', s.new))
        when 'handed' then recovery._render_sql($sql$
                if {new} is distinct from {old} and new.server_epoch is not distinct from old.server_epoch
                    and {is_open}
                then
                    new.server_epoch := case when nullif({new}, '') is null then v_writer
                        else recovery._live_epoch({new}) end;
                    return new;
                end if;
        $sql$, jsonb_build_object('new', s.new, 'old', s.old, 'is_open', s.is_open))
        -- Work that is opened for another server is not the writer's, who may drain.
        when 'own' then format('(nullif(%s, %L) is null or new.server_epoch = recovery._writer_epoch()) is true',
            s.new, '') end
    end
    from (select
        format('(%s)', recovery._realias_sql(p_watch.owner, 'new')) as new,
        format('(%s)', recovery._realias_sql(p_watch.owner, 'old')) as old,
        case when recovery._is_decided_late(p_watch) then 'true' else recovery._state_sql(p_watch, 'new') end as is_open
    ) as s
$function$;
--;
comment on function recovery._named_owner_sql(recovery.watch, text) is
    'Where the row says whose it is, the parts of the trigger functions that write the owner, for a row that is '
    'inserted open, opened, handed over; own: whether new work is the writer''s own. Nothing for other watches.';
--;
revoke all on function recovery._named_owner_sql(recovery.watch, text) from public;
--;
-- sql/watch/_not_before_sql.sql
create or replace function recovery._not_before_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Jitter takes up to half of it away: what broke together does not come back together, and the cap holds. In
    -- seconds, as no interval is that long; what an ordered stop has interrupted waits for nothing.
    select recovery._render_sql(
        'case when {free} then r.{column!i} else c.at + make_interval(secs => least({first}::double precision'
        ' * 2 ^ least(coalesce(r.{attempts!i}, 0), 62), {longest}) * (0.5 + random() / 2)) end',
        jsonb_build_object(
            'free', format('c.reason = any(%L::text[])', p_watch.free_reasons::text),
            'column', p_watch.not_before,
            'first', extract(epoch from (p_watch.spec ->> 'backoff')::interval),
            'longest', extract(epoch from (p_watch.spec ->> 'max_backoff')::interval),
            'attempts', p_watch.attempts))
$$;
--;
comment on function recovery._not_before_sql(recovery.watch) is
    'When a requeue lets the queue take the row again: twice as long after each attempt, up to a longest time, with '
    'jitter.';
--;
revoke all on function recovery._not_before_sql(recovery.watch) from public;
--;
-- sql/watch/_note_broken_watch.sql
create or replace function recovery._note_broken_watch(
    p_watch text, p_state text, p_message text, p_hint text default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_remedy text;
    v_table  text;
    v_tell   boolean;
    v_new    boolean;
begin
    raise warning 'recovery: watch "%" is passed over: %', p_watch, p_message;
    select coalesce(nullif(p_hint, ''), format(
        'select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now', w.relation::text)),
        case when p_hint is not null then recovery._table_state(w) end,
        coalesce(w.told < clock_timestamp() - interval '1 hour', true)
    into v_remedy, v_table, v_tell from recovery.watch as w where w.name = p_watch;
    insert into recovery.broken_watch as b (watch, sqlstate, message, remedy, state)
    values (p_watch, p_state, p_message, coalesce(v_remedy, 'attach it again'), v_table)
    on conflict (watch) do update set at = clock_timestamp(), sqlstate = excluded.sqlstate, message = excluded.message,
        remedy = excluded.remedy, state = excluded.state
    returning b.since = b.at into v_new;
    if v_new and v_tell then
        update recovery.watch as w set told = clock_timestamp() where w.name = p_watch;
        insert into recovery.outbox (watch, kind, key, detector, new)
        values (p_watch, 'broken', '', 'recovery', jsonb_build_object(
            'sqlstate', p_state, 'message', p_message, 'remedy', v_remedy));
    end if;
end
$$;
--;
comment on function recovery._note_broken_watch(text, text, text, text) is
    'Notes that a watch fails, with the statement that repairs it, so that its rows wait and all others are served; '
    'the first time in an hour it is an event. p_hint, even an empty one, says that it fails as it is defined, and '
    'not by what a row holds.';
--;
revoke all on function recovery._note_broken_watch(text, text, text, text) from public;
--;
-- sql/watch/_note_partitions.sql
create or replace function recovery._note_partitions(p_detector text, p_watch integer default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch   recovery.watch;
    v_there   regclass[];
    v_files   oid[];
    v_since   bigint;
    v_seen    bigint;
    v_settled boolean;
    v_last    bigint;
    v_gone    record;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w join pg_class as c on c.oid = w.relation and c.relkind = 'p'
        where w.id = p_watch or p_watch is null order by w.id
    loop
        begin
            insert into recovery.partition as p (watch, relation, filenode, since, seen, mark)
            select v_watch.id, t.relation, t.filenode,
                   coalesce(s.since, pg_sequence_last_value('recovery.outbox_id_seq'), 0), s.seen, s.mark
            from recovery._partitions_of(v_watch.relation) as t cross join (
                select min(o.since) as since, max(o.seen) as seen, max(o.mark) as mark
                from recovery.partition as o where o.watch = v_watch.id) as s
            where not exists (
                select from recovery.partition as o where o.watch = v_watch.id and o.relation = t.relation)
            on conflict (watch, relation) do nothing;
            continue when p_detector is null;
            -- As it was before the search: what happens during it is the next sweep's.
            select coalesce(array_agg(t.relation), '{}'), coalesce(array_agg(t.filenode), '{}') into v_there, v_files
            from recovery._partitions_of(v_watch.relation) as t;
            -- Another sweep that has found it first tells it.
            perform from recovery.partition as p
            left join unnest(v_there, v_files) as t (relation, filenode) on t.relation = p.relation
            where p.watch = v_watch.id and (
                case when p.detached is null then t.relation is null or t.filenode <> p.filenode
                     else t.relation is not null end)
            for update of p skip locked;
            if found then
                -- One after the other: what is settled was there before the search, what it saw is older than the mark.
                select min(p.since), max(p.seen), pg_snapshot_xmin(pg_current_snapshot()) >= max(p.mark)
                into v_since, v_seen, v_settled from recovery.partition as p where p.watch = v_watch.id;
                select max(o.id) + 99 into v_last from recovery.outbox as o;
                select g.* into v_gone from recovery._tell_gone_rows(v_watch, p_detector, v_since) as g;
                if v_gone.o_done then
                    update recovery.partition as p
                    set filenode = coalesce(t.filenode, p.filenode),
                        detached = case when t.relation is null then coalesce(p.detached, clock_timestamp()) end,
                        since = case when v_settled then greatest(v_since, least(v_gone.o_first, v_seen + 1))
                            else v_since end,
                        seen = case when v_settled is not false then v_last else p.seen end,
                        mark = case when v_settled is not false then pg_current_xact_id() else p.mark end
                    from recovery.partition as o
                    left join unnest(v_there, v_files) as t (relation, filenode) on t.relation = o.relation
                    where o.watch = v_watch.id and p.watch = o.watch and p.relation = o.relation;
                end if;
            end if;
            delete from recovery.partition as p
            where p.watch = v_watch.id and p.detached is not null
              and coalesce(pg_partition_root(p.relation), p.relation) not in (
                  select l.relation from recovery._left_partitions(v_watch.relation) as l (relation));
        exception
            when lock_not_available or deadlock_detected then
                null;  -- the host is at it: the next sweep looks again
            when others then
                perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
end
$$;
--;
comment on function recovery._note_partitions(text, integer) is
    'Compares the partitions of watched tables with those that were there before, and tells what is gone with the '
    'others. Detector null: for one watch, only what is new.';
--;
revoke all on function recovery._note_partitions(text, integer) from public;
--;
-- sql/watch/_note_whole_watch.sql
create or replace function recovery._note_whole_watch(p_watch text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state text;
begin
    delete from recovery.broken_watch as b where b.watch = p_watch returning b.state into v_state;
    if v_state is not null then
        update recovery.watch as w set told = null where w.name = p_watch;
        insert into recovery.outbox (watch, kind, key, detector) values (p_watch, 'repaired', '', 'recovery');
    end if;
end
$$;
--;
comment on function recovery._note_whole_watch(text) is
    'Notes that a watch that failed works again; it is an event, unless a row had been in the way.';
--;
revoke all on function recovery._note_whole_watch(text) from public;
--;
-- sql/watch/_open_epochs.sql
create or replace function recovery._open_epochs(p_watch text)
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  record;
    v_epochs jsonb;
begin
    -- Not by recovery._attached_watches(): that fetches the long columns of all of them, for each watch.
    select w.relation, w.open, w.runner into strict v_watch from recovery.watch as w
    where w.name = p_watch and exists (select from pg_class as c where c.oid = w.relation);
    -- Steps from one epoch to the next in the partial index, so the cost follows the number of owners.
    select e.* into v_epochs from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        with recursive e (epoch) as (
            (select r.server_epoch from {relation} as r
             where r.server_epoch is not null and ({open}) order by r.server_epoch limit 1)
            union all
            select (select r.server_epoch from {relation} as r
                    where r.server_epoch > e.epoch and ({open}) order by r.server_epoch limit 1)
            from e where e.epoch is not null
        )
        select to_jsonb(array_agg(e.epoch)) from e where e.epoch is not null
        $sql$, jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open))) as e;
    return coalesce(recovery._to_texts(v_epochs)::bigint[], '{}');
end
$$;
--;
comment on function recovery._open_epochs(text) is 'The epochs that own open rows of a watch, from its partial index.';
--;
revoke all on function recovery._open_epochs(text) from public;
--;
-- sql/watch/_opening_values.sql
create or replace function recovery._opening_values(p_watch recovery.watch)
returns setof jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Column -> SQL text. Nothing set; then for each column that open reads each literal of it, truth values and
    -- null, with the others as they are, or null.
    with
    col as (
        select a.attname as name, a.attnotnull, a.atttypid = 'boolean'::regtype as truth
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum = any(p_watch.open_columns) and a.attgenerated = ''
            and a.attname <> all (p_watch.key_columns) and a.attname <> 'server_epoch'
    ),
    lit as (
        select distinct l.found[1] as text
        from regexp_matches(p_watch.open, $re$((?:'(?:[^']|'')*')|(?:\m[0-9]+\M))$re$, 'g') as l (found)
    ),
    one as (
        select c.name, l.text as value from col as c cross join lit as l where not c.truth
        union all
        select c.name, t.value from col as c cross join (values ('true'), ('false')) as t (value) where c.truth
        union all
        select c.name, 'null' from col as c where not c.attnotnull
    )
    select s.set from (
        select 0 as n, '{}'::jsonb as set
        union all
        select 1, jsonb_build_object(o.name, o.value) from one as o
        union all
        select 2, jsonb_build_object(o.name, o.value) || (
            select jsonb_object_agg(c.name, 'null') from col as c where c.name <> o.name and not c.attnotnull)
        from one as o where exists (select from col as c where c.name <> o.name and not c.attnotnull)
    ) as s
    order by s.n, s.set::text
    limit 40
$$;
--;
comment on function recovery._opening_values(recovery.watch) is
    'Values of columns by which a row may come to be open, the likeliest first: guessed from the open expression.';
--;
revoke all on function recovery._opening_values(recovery.watch) from public;
--;
-- sql/watch/_operation_sql.sql
create or replace function recovery._operation_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_moves constant boolean := (select c.relkind = 'p' from pg_class as c where c.oid = p_watch.relation);
begin
    return case p_operation
        when 'before_insert' then recovery._before_insert_sql(p_watch, v_moves)
        when 'before_update' then recovery._before_update_sql(p_watch, v_moves)
        when 'before_delete' then recovery._before_delete_sql(p_watch)
        when 'insert' then recovery._after_insert_sql(p_watch, v_moves)
        when 'update' then recovery._after_update_sql(p_watch)
        when 'delete' then recovery._after_delete_sql(p_watch, v_moves)
        when 'truncate' then recovery._before_truncate_sql(p_watch)
    end;
end
$function$;
--;
comment on function recovery._operation_sql(recovery.watch, text) is
    'What a trigger function of a watch does: the block that recovery._trigger_sql puts into it.';
--;
revoke all on function recovery._operation_sql(recovery.watch, text) from public;
--;
-- sql/watch/_parse_expression.sql
create or replace function recovery._parse_expression(
    p_table regclass, p_expression text, p_type text, p_closing boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL itself parses the expression and prints it back, with every name qualified and r. or c. before every
   column: what it prints can stand in an index, a trigger or a statement and means the same in each. The second range
   entry is what makes it print the prefixes, the second column what makes an aggregate an error. All by the runner:
   reading an expression may execute code already (a literal of a type that holds a domain). The view does not stay. */
declare
    v_closing constant text :=
        '(values (null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint, null::integer))'
        ' as c (reason, message, detector, at, ms, epoch, attempt)';
    v_nothing constant text := '(values (1)) as recovery_none (one)';
    v_task    recovery.task;
    v_found   jsonb;
    v_text    text;
begin
    v_task.key := 'pg_temp.recovery_' || replace(gen_random_uuid()::text, '-', '');
    select v.* into v_found from recovery._run_as_owner((recovery._runner_of(p_table)).id, recovery._render_sql($sql$
        create temporary view {view} as
        select ({expression}
        ){type} as recovery_value, r.tableoid as recovery_row
        from only {relation} as r
        cross join {closing}
        $sql$, jsonb_build_object(
        'view', v_task.key,
        'expression', p_expression,
        'type', coalesce('::' || p_type, ''),
        'relation', p_table,
        'closing', case when p_closing then v_closing else v_nothing end)), v_task, 'compile') as v;
    v_text := v_found ->> 'text';
    return v_found || jsonb_build_object(
        'text', substr(v_text, 9, strpos(v_text, E' AS recovery_value,\n') - 9));
end
$$;
--;
comment on function recovery._parse_expression(regclass, text, text, boolean) is
    'What PostgreSQL makes of an expression over a row r of the table (and the closing c), read with search_path '
    'pg_catalog: its text, its type, and the objects that it uses.';
--;
revoke all on function recovery._parse_expression(regclass, text, text, boolean) from public;
--;
-- sql/watch/_partitions_of.sql
create or replace function recovery._partitions_of(p_table regclass)
returns table (parent regclass, relation regclass, owner regrole, filenode oid, leaving boolean)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- pg_partition_tree leaves out what DETACH CONCURRENTLY has begun with.
    with recursive t (parent, oid, leaving) as (
        select i.inhparent, i.inhrelid, i.inhdetachpending
        from pg_inherits as i join pg_class as c on c.oid = i.inhparent and c.relkind = 'p' where i.inhparent = p_table
        union all
        select i.inhparent, i.inhrelid, t.leaving or i.inhdetachpending
        from t join pg_inherits as i on i.inhparent = t.oid
    )
    select t.parent::regclass, c.oid::regclass, c.relowner::regrole, c.relfilenode, t.leaving
    from t join pg_class as c on c.oid = t.oid
$$;
--;
comment on function recovery._partitions_of(regclass) is
    'All partitions of a table, at each level, with their owner and file; leaving: DETACH CONCURRENTLY is under way, '
    'or was interrupted.';
--;
revoke all on function recovery._partitions_of(regclass) from public;
--;
-- sql/watch/_prepare_runner.sql
create or replace function recovery._prepare_runner(p_table regclass)
returns recovery.runner
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner  regrole := (select c.relowner from pg_class as c where c.oid = p_table);
    v_runner recovery.runner := recovery._runner_of(p_table);
begin
    if (v_runner.id is null or recovery._lacks_runner(v_runner)) and pg_has_role('recovery_owner', 'usage') then
        begin
            perform recovery._make_runner(v_owner);
        exception when insufficient_privilege then
            null;  -- the next lines say what to do
        end;
        v_runner := recovery._runner_of(p_table);
    end if;
    if v_runner.id is null or recovery._lacks_runner(v_runner) then
        perform recovery._fail('42501', format(case when v_runner.id is null then '%s is not permitted to attach tables'
            else 'the runner of %s is not what recovery.permit made' end, v_owner),
            format('A DBA runs this once: select recovery.permit(%L);', v_owner));
    elsif v_runner.privileged then
        perform recovery._lend_table(p_table, v_runner.role);
    end if;
    return v_runner;
end
$$;
--;
comment on function recovery._prepare_runner(regclass) is
    'The runner of a table''s owner, made or repaired where the caller may, with the grants that it needs of the '
    'table. '
    '42501 the owner was not permitted to attach tables.';
--;
revoke all on function recovery._prepare_runner(regclass) from public;
--;
-- sql/watch/_read_options.sql
create or replace function recovery._read_options(p_watch recovery.watch)
returns recovery.watch
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_spec  jsonb := p_watch.spec;
    v_other regclass;
begin
    v_watch.name := v_spec ->> 'name';
    v_watch.family := coalesce(v_spec ->> 'family', v_watch.name);
    v_watch.position := v_spec ->> 'position';
    v_watch.events := v_spec ->> 'events';
    v_watch.topic := v_spec ->> 'topic';
    v_watch.failed_topics := nullif(recovery._to_texts(v_spec -> 'failed_topics'), '{}');
    v_watch.idle_topics := nullif(recovery._to_texts(v_spec -> 'idle_topics'), '{}');
    v_watch.launch_grace := v_spec ->> 'launch_grace';
    v_watch.unowned := v_spec ->> 'unowned';
    v_watch.attempts := v_spec ->> 'attempts';
    v_watch.max_attempts := case when v_watch.attempts is not null then v_spec ->> 'max_attempts' end;
    v_watch.free_reasons := case when v_watch.attempts is not null
        then coalesce(recovery._to_texts(v_spec -> 'free_reasons'), '{}') end;
    v_watch.not_before := v_spec ->> 'not_before';
    v_watch.alive_lease := v_spec ->> 'alive_lease';
    v_watch.runner := (recovery._runner_of(v_watch.relation)).id;
    if v_watch.runner is null then
        perform recovery._fail('42501',
            format('the owner of %s is not permitted to attach tables', v_watch.relation),
            format('A DBA runs this once: select recovery.permit(%L);',
                (select c.relowner::regrole from pg_class as c where c.oid = v_watch.relation)));
    end if;
    select w.relation into v_other from recovery.watch as w where w.name = v_watch.name and w.id <> v_watch.id;
    if found then
        perform recovery._fail('RC007',
            format('the name "%s" is taken by the watch on %s', v_watch.name, v_other), 'Give another name.');
    end if;
    return v_watch;
end
$$;
--;
comment on function recovery._read_options(recovery.watch) is
    'Step of recovery._compile_watch: the options that are no expressions, and who runs those that are. '
    'RC007 the name is taken, 42501 the owner is not permitted.';
--;
revoke all on function recovery._read_options(recovery.watch) from public;
--;
-- sql/watch/_read_table.sql
create or replace function recovery._read_table(p_watch recovery.watch, p_new boolean)
returns recovery.watch
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := p_watch;
    v_column record;
begin
    v_watch.key_columns := recovery._primary_key(v_watch.relation);
    select array_agg(format_type(a.atttypid, a.atttypmod) order by k.n) into v_watch.key_types
    from unnest(v_watch.key_columns) with ordinality as k (name, n)
    join pg_attribute as a on a.attrelid = v_watch.relation and a.attname = k.name;
    if v_watch.key_columns is null then
        perform recovery._fail('RC006', format('%s has no primary key', v_watch.relation),
            'Events and closings name a row by its primary key.');
    end if;
    if p_new or not exists (
        select from pg_attribute as a
        where a.attrelid = v_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
    then
        select a.atttypid = 'bigint'::regtype and a.attgenerated = '' and a.attidentity = '' as fits, a.attnotnull
        into v_column
        from pg_attribute as a
        where a.attrelid = v_watch.relation and a.attname = 'server_epoch' and not a.attisdropped;
        v_watch.own_column := not found;
        if found and not v_column.fits then
            perform recovery._fail('RC006',
                format('%s has a column server_epoch that is not bigint, or is generated', v_watch.relation));
        elsif v_column.attnotnull then
            perform recovery._fail('RC006', format('the column server_epoch of %s is not null', v_watch.relation),
                'Let it be null: nobody owns a row that is not open.');
        end if;
    end if;
    return v_watch;
end
$$;
--;
comment on function recovery._read_table(recovery.watch, boolean) is
    'Step of recovery._compile_watch: the primary key of the table and, for a new watch, whether it has a column '
    'server_epoch already. RC006 they do not fit.';
--;
revoke all on function recovery._read_table(recovery.watch, boolean) from public;
--;
-- sql/watch/_realias_sql.sql
create or replace function recovery._realias_sql(p_expression text, p_alias text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Tokens: a string, a quoted name, what stands in a schema r (types, operators, collations, functions), the alias,
    -- another word, any other character.
    select string_agg(case when t.token[1] = 'r.' then p_alias || '.' else t.token[1] end, '' order by t.n)
    from regexp_matches(
        p_expression,
        $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|(?:::|OPERATOR\(|COLLATE )r\.$re$
            || $re$|\mr\.(?:[a-zA-Z0-9_$]+|"(?:[^"]|"")*")\(|\mr\.|[a-zA-Z0-9_$]+|.)$re$,
        'g') with ordinality as t (token, n)
$$;
--;
comment on function recovery._realias_sql(text, text) is
    'A compiled expression with another alias (new, old) in place of r; strings and quoted names stay.';
--;
revoke all on function recovery._realias_sql(text, text) from public;
--;
-- sql/watch/_rehearse_closing.sql
create or replace function recovery._rehearse_closing(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
/* A closing and, where work is set back to its queue, a requeue: really executed, on a row of the host, under its
   constraints and triggers, and taken back. So what would fail each time is known now, and not when a server has died.
   Open rows are tried first. Where there is none a row is made to look open; what only that row can't do says nothing,
   so then only errors count that no row could avoid. */
declare
    v_watch   recovery.watch;
    v_variant recovery.watch;
    v_step    text;
    v_error   jsonb;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    foreach v_step in array case when v_watch.attempts is null then array['close'] else array['close', 'requeue'] end
    loop
        v_variant := v_watch;
        if v_watch.attempts is not null then
            -- Whatever the row has counted: this is the last attempt, or there are others.
            v_variant.max_attempts := case v_step when 'close' then 1 else 2147483647 end;
            v_variant := recovery._compile_closing(v_variant);
        end if;
        begin
            -- As a sweep has it, and bounded.
            perform set_config('lock_timeout', '100ms', true);
            if current_setting('recovery.server_epoch', true) <> '' then  -- a setting that was never made stays so
                perform set_config('recovery.server_epoch', '', true);
            end if;
            update recovery.watch as w
            set attached = coalesce(w.attached, clock_timestamp()), close = v_variant.close,
                max_attempts = v_variant.max_attempts
            where w.id = v_watch.id returning w.* into v_variant;
            v_error := recovery._closing_error(v_variant);
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            null;
        end;
        if v_error is not null then
            perform recovery._fail('RC006',
                format('each %s of a row of %s would fail: %s (SQLSTATE %s)', v_step, p_table, v_error ->> 'message',
                    v_error ->> 'sqlstate'),
                coalesce(v_error ->> 'hint',
                    'It was tried, and taken back. Give values that the table accepts, or change what refuses them.'));
        end if;
    end loop;
end
$$;
--;
comment on function recovery._rehearse_closing(regclass) is
    'Executes a closing and a requeue of a watch on a real or made-up row, as its runner, and takes it back. RC006 '
    'with the host''s own error if that would fail each time.';
--;
revoke all on function recovery._rehearse_closing(regclass) from public;
--;
-- sql/watch/_rehearse_watch.sql
create or replace function recovery._rehearse_watch(p_table regclass)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_role  text;
    v_step  text := 'statement';
    v_state text;
    v_error text;
begin
    select w.* into strict v_watch from recovery.watch as w where w.relation = p_table;
    select r.role into v_role from recovery.runner as r where r.id = v_watch.runner;
    if exists (
        select from recovery._run_as_owner(v_watch.runner, format(
            'select pg_catalog.to_jsonb(pg_catalog.row_security_active(%L::pg_catalog.regclass))', p_table)) as r
        where r = 'true'
    ) then
        perform recovery._fail('RC006', format('row security of %s would hide rows from %s', p_table, v_role),
            format('Orphans would stay open: alter role %I bypassrls.', v_role));
    end if;
    -- The real statements, planned by the role that executes them.
    perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
        v_watch.family, case when v_watch.group_by is null then 'range' else 'groups' end), v_task, 'plan');
    perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
        v_watch.family, 'row', 'any', 'without', true, true, false, v_watch.name), v_task, 'plan');
    if v_watch.owner is not null then
        v_step := 'owner';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
            v_watch.family, 'range', 'named', 'ignore', true, false, true, v_watch.name), v_task, 'plan');
    end if;
    if v_watch.alive is not null then
        v_step := 'alive';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._look_sql(v_watch), v_task,
            'plan');
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._close_sql(
            v_watch.family, 'row', 'lifeless', 'without', true, true, false, v_watch.name), v_task, 'plan');
    end if;
    if v_watch.supervised is not null then
        v_step := 'watchdog';
        perform recovery._run_as_owner(v_watch.runner, 'explain (costs off) ' || recovery._due_sql(v_watch), v_task,
            'plan');
    end if;
exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
    if v_state in ('42501', '55P03') or v_state like 'RC%' then
        raise;
    end if;
    perform recovery._fail('RC006', format('%s cannot be watched (%s): %s', p_table, v_step, v_error),
        'Expressions must run with the rights of the table''s owner.');
end
$$;
--;
comment on function recovery._rehearse_watch(regclass) is
    'Plans the statements of a watch as its runner. RC006 they cannot work, 42501 the owner lacks a right.';
--;
revoke all on function recovery._rehearse_watch(regclass) from public;
--;
-- sql/watch/_repair_indexes.sql
create or replace function recovery._repair_indexes(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_kind   text;
    v_flaw   record;
begin
    foreach v_kind in array array['open', 'started'] loop
        v_flaw := recovery._index_problem(p_watch, v_kind);
        if v_flaw.problem like '% is not its index' then
            perform recovery._fail('RC006', v_flaw.problem, v_flaw.remedy);
        elsif v_flaw.problem is not null then
            execute format('drop index %s.recovery_%s_%s', v_schema, v_kind, p_watch.id);
        end if;
    end loop;
end
$$;
--;
comment on function recovery._repair_indexes(recovery.watch) is
    'Drops an index of a watch that is invalid, or not as it should be; recovery._make_definitions makes it anew. '
    'RC006 its name is taken.';
--;
revoke all on function recovery._repair_indexes(recovery.watch) from public;
--;
-- sql/watch/_replace_indexes.sql
create or replace function recovery._replace_indexes(p_before recovery.watch, p_after recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_after.relation);
    v_kind   text;
    v_name   text;
    v_new    text;
    v_is_new boolean;
begin
    perform recovery._repair_indexes(p_after);
    foreach v_kind in array array['open', 'started'] loop
        v_name := format('recovery_%s_%s', v_kind, p_after.id);
        v_new := format('%s.%s_new', v_schema, v_name);
        v_is_new := recovery._find_index(p_after.relation, v_name || '_new') is not null;
        -- recovery.alter_steps has made it beside the one that was in use.
        if v_is_new and recovery._find_index(p_after.relation, v_name) is null
            and recovery._index_sql(p_before, v_kind) is distinct from recovery._index_sql(p_after, v_kind)
            and (recovery._index_problem(p_after, v_kind, '_new')).problem is null
        then
            execute format('alter index %s rename to %I', v_new, v_name);
        elsif v_is_new then
            execute 'drop index ' || v_new;
        end if;
    end loop;
end
$$;
--;
comment on function recovery._replace_indexes(recovery.watch, recovery.watch) is
    'Drops the indexes of a watch that do not fit its new registration, and puts in their place those that stand '
    'ready beside them.';
--;
revoke all on function recovery._replace_indexes(recovery.watch, recovery.watch) from public;
--;
-- sql/watch/_requeue_sql.sql
create or replace function recovery._requeue_sql(p_watch recovery.watch, p_close jsonb, p_requeue jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.attempts is null then
        return (select jsonb_object_agg(s.key, recovery._attempt_sql(s.value, 'null::integer'))
                from jsonb_each_text(p_close) as s);
    end if;
    -- While attempts are left the row goes back to the queue; the last one fails, and says so.
    return (
        select jsonb_object_agg(a.attname, recovery._attempt_sql(recovery._render_sql(
                   'case when {retries} then {requeue} else {close} end',
                   jsonb_build_object(
                       'retries', recovery._retries_sql(p_watch, 'c.reason'),
                       'requeue', case a.attname when p_watch.not_before then recovery._not_before_sql(p_watch)
                           else coalesce(p_requeue ->> a.attname, format('r.%I', a.attname)) end,
                       'close', coalesce(recovery._gave_up_sql(p_close ->> a.attname, p_watch.max_attempts),
                                         format('r.%I', a.attname)))),
                   format('(coalesce(r.%I, 0) + 1)::integer', p_watch.attempts)))
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum > 0
          and (p_close ? a.attname or p_requeue ? a.attname or a.attname = p_watch.not_before)
    ) || jsonb_build_object(p_watch.attempts, case p_watch.free_reasons
        when '{}' then format('coalesce(r.%I, 0) + 1', p_watch.attempts)
        else format('coalesce(r.%I, 0) + case when c.reason = any(%L::text[]) then 0 else 1 end',
            p_watch.attempts, p_watch.free_reasons::text) end);
end
$$;
--;
comment on function recovery._requeue_sql(recovery.watch, jsonb, jsonb) is
    'What a closing sets where work is set back to its queue until a number of attempts, of what was compiled for '
    'close and requeue: column -> compiled expression.';
--;
revoke all on function recovery._requeue_sql(recovery.watch, jsonb, jsonb) from public;
--;
-- sql/watch/_retries_sql.sql
create or replace function recovery._retries_sql(p_watch recovery.watch, p_reason text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format('(coalesce(r.%I, 0) + 1 < %s%s)', p_watch.attempts, p_watch.max_attempts,
        case when p_watch.free_reasons <> '{}'
            then format(' or %s = any(%L::text[])', p_reason, p_watch.free_reasons::text) else '' end)
$$;
--;
comment on function recovery._retries_sql(recovery.watch, text) is
    'The condition for a row r to go back to its queue, before the closing has counted: attempts are left, or the '
    'reason (an expression) costs none.';
--;
revoke all on function recovery._retries_sql(recovery.watch, text) from public;
--;
-- sql/watch/_ring_sql.sql
create or replace function recovery._ring_sql(p_watch recovery.watch, p_kind text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    -- The bell: at most one NOTIFY in 50 ms, because NOTIFY serialises the commits of the whole cluster.
    select case p_watch.events when 'closed' then '' else recovery._render_sql($sql$
        if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
               - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
            perform recovery._announce_written({kind});
        end if;
    $sql$, jsonb_build_object('kind', p_kind)) end
$function$;
--;
comment on function recovery._ring_sql(recovery.watch, text) is
    'The end of a trigger function that has written an event: wakes the listeners. p_kind says what it was, as SQL.';
--;
revoke all on function recovery._ring_sql(recovery.watch, text) from public;
--;
-- sql/watch/_run_briefly.sql
create or replace function recovery._run_briefly(p_statement text, p_lock_timeout interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
begin
    -- By the transaction, not by the session: behind a pooler that is somebody else's.
    perform set_config('lock_timeout', greatest(ceil(extract(epoch from p_lock_timeout) * 1000), 1) || 'ms', true);
    execute p_statement;
end
$$;
--;
comment on function recovery._run_briefly(text, interval) is
    'Executes a statement with the rights of its caller, and waits for each lock no longer than that: 55P03. Who waits '
    'for a strong lock makes everybody behind it wait, too.';
--;
revoke all on function recovery._run_briefly(text, interval) from public;
--;
-- sql/watch/_same_definitions.sql
create or replace function recovery._same_definitions(p_before recovery.watch, p_after recovery.watch)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._index_sql(p_before, 'open') = recovery._index_sql(p_after, 'open')
       and (p_after.supervised is null
            or recovery._index_sql(p_before, 'started') is not distinct from recovery._index_sql(p_after, 'started'))
       and not exists (
            (select t.name, t.statement from recovery._trigger_definitions(p_before) as t
             except select t.name, t.statement from recovery._trigger_definitions(p_after) as t)
            union all
            (select t.name, t.statement from recovery._trigger_definitions(p_after) as t
             except select t.name, t.statement from recovery._trigger_definitions(p_before) as t))
$$;
--;
comment on function recovery._same_definitions(recovery.watch, recovery.watch) is
    'Whether index and triggers of a table stay as they are when its watch changes, so that the table need not be '
    'locked: what the trigger functions do is replaced without that.';
--;
revoke all on function recovery._same_definitions(recovery.watch, recovery.watch) from public;
--;
-- sql/watch/_spec_defaults.sql
create or replace function recovery._spec_defaults(p_options jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- As recovery.attach declares and writes them.
    select '{"position": 100, "events": "all"}'
        || case when jsonb_typeof(p_options -> 'requeue') = 'object'
            then '{"max_attempts": 3, "free_reasons": ["shutdown", "drain_expired"]}' else '{}' end::jsonb
        || case when p_options ->> 'alive' is not null then '{"alive_lease": "00:00:15"}' else '{}' end::jsonb
        || case when p_options ->> 'not_before' is not null
            then '{"backoff": "00:00:01", "max_backoff": "00:05:00"}' else '{}' end::jsonb
$$;
--;
comment on function recovery._spec_defaults(jsonb) is
    'What recovery.attach does where an option is not given, as recovery.watch.spec has it, beside the options that '
    'are.';
--;
revoke all on function recovery._spec_defaults(jsonb) from public;
--;
-- sql/watch/_state_sql.sql
create or replace function recovery._state_sql(p_watch recovery.watch, p_row text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select format('(%s) is true', recovery._realias_sql(p_watch.open, p_row))
$function$;
--;
comment on function recovery._state_sql(recovery.watch, text) is
    'SQL text for whether the row old or new of a trigger is open.';
--;
revoke all on function recovery._state_sql(recovery.watch, text) from public;
--;
-- sql/watch/_tell_gone_rows.sql
create or replace function recovery._tell_gone_rows(
    p_watch recovery.watch, p_detector text, p_since bigint, out o_done boolean, out o_first bigint
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set jit = off
set work_mem = '32MB'
as $$
/* Rows that the events call open and the table does not have. By the events, because there is nothing else to ask:
   who truncates or drops a partition takes the rows along, and a detached one may be closed to us.
   Three statements: each sees what was committed before it, so a row that was written after the first has its event
   in the sight of the third, which leaves it out. Nested loops are off: nobody can estimate what is gone. */
declare
    v_kinds constant text[] := array['opened', 'reopened', 'adopted', 'closed', 'requeued', 'deleted'];
    v_parts constant integer := cardinality(p_watch.key_columns);
    v_ids   bigint[];
    v_found jsonb;
    v_task  recovery.task;
    -- Of what was dropped a part may be left, an opening without its closing.
    v_since bigint := greatest(p_since, (select f.id + 1 from recovery.event_floor as f));
begin
    o_done := true;
    if p_watch.events = 'closed' then
        return;  -- nobody was told that they were open
    end if;
    select array_agg(e.id order by e.id), array_agg(e.key order by e.id), min(e.id)
    into v_ids, v_task.keys, o_first
    from (
        select l.key, max(l.id) as id
        from recovery.event_range(v_since) as l
        where l.watch = p_watch.name and l.kind = any (v_kinds)
          and (v_parts = 1 or case when l.key like '[%' then jsonb_array_length(l.key::jsonb) end = v_parts)
        group by l.key
        having max(l.id) = max(l.id) filter (where l.kind in ('opened', 'reopened', 'adopted'))
    ) as e;
    -- Most are open as they should be. What is left is looked up key by key, for an estimate must not make it read the
    -- table, and a part a sweep: any, so that rows which were closed unseen don't keep the others from their turn.
    select f.* into v_found from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
        with o as materialized (select {key} as key from {relation} as r where ({open})),
        k as materialized (
            select k.key, k.n from unnest(($1).keys) with ordinality as k (key, n)
            where not exists (select from o where o.key = k.key) order by random() limit 5000
        )
        select jsonb_build_object('looked', (select count(*) from k), 'gone', (
            select jsonb_agg(k.n) from k where (select true from {relation} as r where {same} limit 1) is null))
        $sql$, jsonb_build_object(
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'open', p_watch.open,
        'relation', p_watch.relation,
        'same', (
            select string_agg(format('r.%I = (%s)::%s', c.name,
                case v_parts when 1 then 'k.key' else format('k.key::jsonb ->> %s', c.n - 1) end,
                p_watch.key_types[c.n]), ' and ' order by c.n)
            from unnest(p_watch.key_columns) with ordinality as c (name, n)))), v_task) as f;
    insert into recovery.outbox (server_epoch, watch, kind, topic, key, group_key, reason, detector, old)
    select e.server_epoch, e.watch, 'deleted', e.topic, e.key, e.group_key, 'row_gone', p_detector, e.new
    from unnest(recovery._to_texts(v_found -> 'gone')::bigint[]) as g (n)
    join recovery.event_range(v_since) as e on e.id = v_ids[g.n]
    where not exists (
        select from recovery.event_range(v_since) as l
        where l.watch = e.watch and l.key = e.key and l.id > e.id and l.kind = any (v_kinds))
    order by e.id;
    o_done := (v_found ->> 'looked')::integer < 5000;
end
$$;
--;
comment on function recovery._tell_gone_rows(recovery.watch, text, bigint) is
    'Writes an event "deleted" for each row that was told as open and is in the table no more, by the events from '
    'p_since on. Not done: there may be more of them. First: the oldest event that calls a row open. A row of the '
    'same key that somebody inserts at this very moment may be told before its predecessor''s end.';
--;
revoke all on function recovery._tell_gone_rows(recovery.watch, text, bigint) from public;
--;
-- sql/watch/_trigger_definitions.sql
create or replace function recovery._trigger_definitions(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* PostgreSQL reads and plans a WHEN clause anew for each statement, half a microsecond for each of its
   nodes, and a streaming update should not pay for that. So triggers name the columns that their conditions read,
   and their functions decide; one short WHEN keeps streaming updates out of zz_recovery_20_update, which looks at
   every update of a closed row. Where naming columns is not enough, because a BEFORE trigger of the host may change
   one that the statement does not name, or does not help, because work streams into the json that says whether it is
   open, recovery_20_update looks at every update.

   The BEFORE triggers are called zz_ so that they fire after those of the host, and see the row as it will be.

   Closings write their events themselves: they are the runner's statements, and no trigger of ours is for them. */
declare
    v_was     constant text := recovery._realias_sql(p_watch.open, 'old');
    v_is      constant text := recovery._realias_sql(p_watch.open, 'new');
    v_writes  constant text := format('(current_user <> %L or pg_trigger_depth() > 0)',
                                      (recovery._runner_of(p_watch.relation)).role);
    v_moves   text;
    v_moved   text := '';
    v_columns text;
    v_owner   text;
    v_trigger record;
begin
    if not recovery._has_rewriting_trigger(p_watch.relation) and p_watch.open !~ '\mr\.\*' then
        select string_agg(format('%I', a.attname), ', ' order by a.attnum) into v_columns
        from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped
          and (a.attname = 'server_epoch' or a.attnum = any(p_watch.owner_columns)
               or a.attnum = any(p_watch.open_columns) and strpos(p_watch.open, 'r.' || quote_ident(a.attname)) > 0)
        having not bool_or(a.attgenerated <> '' or a.atttypid in ('json'::regtype, 'jsonb'::regtype));
    end if;
    -- Of an open row: whether it was handed to another server.
    v_owner := case when v_columns is null then '' else (
        select ' of ' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum = any(p_watch.owner_columns)) end;
    if (select c.relkind from pg_class as c where c.oid = p_watch.relation) = 'p' then
        -- A row may be on its way between partitions.
        v_moves := format($sql$current_setting('recovery.move_%s', true) = 'on'$sql$, p_watch.id);
        v_moved := ' or ' || v_moves;
    end if;
    for v_trigger in
        select t.name, t.function, t.event,
               t.condition || case when v_moves is null or t.event ~ 'update' then '' else ' and '
                   || v_writes end as condition
        from (values
            ('zz_recovery_10_insert', 'before_insert', 'before insert',
                case when recovery._is_decided_late(p_watch) then '(new.server_epoch is null' || v_moved || ')'
                     else '((' || v_is || ') is distinct from (new.server_epoch is not null)' || v_moved || ')' end),
            ('zz_recovery_20_update', 'before_update', 'before update',
                case when v_moves is null then '(' || v_was || ') is not true' else v_writes end),
            ('zz_recovery_25_null', 'before_update', 'before update of server_epoch',
                case when v_moves is null then
                    'new.server_epoch is null and old.server_epoch is not null and (' || v_was || ') and '
                        || v_writes end),
            ('zz_recovery_27_owner', 'before_update', 'before update' || v_owner,
                case when v_moves is null and p_watch.owner is not null then '(' || v_was || ') and ' || v_writes end),
            ('zz_recovery_30_delete', 'before_delete', 'before delete', v_moves),
            ('recovery_10_insert', 'insert', 'after insert', '(' || v_is || v_moved || ')'),
            ('recovery_20_update', 'update', 'after update' || coalesce(' of ' || v_columns, ''), v_writes),
            ('recovery_30_delete', 'delete', 'after delete',
                '(' || v_was || $sql$ or current_setting('recovery.server_epoch', true) <> ''$sql$ || v_moved || ')'),
            ('recovery_40_truncate', 'truncate', 'before truncate', '')
        ) as t (name, function, event, condition)
        where t.condition is not null
    loop
        name := v_trigger.name;
        statement := recovery._render_sql(
            'create trigger {name!i} {event} on {relation} for each {level} execute function '
            'recovery.watch_{id}_{function}()',
            jsonb_build_object(
                'name', v_trigger.name,
                'event', v_trigger.event,
                'relation', p_watch.relation,
                'level', case v_trigger.function when 'truncate' then 'statement'
                              else 'row when (' || v_trigger.condition || ')' end,
                'id', p_watch.id,
                'function', v_trigger.function));
        return next;
    end loop;
end
$function$;
--;
comment on function recovery._trigger_definitions(recovery.watch) is
    'The statements that make the triggers of a watch, in the order in which they fire.';
--;
revoke all on function recovery._trigger_definitions(recovery.watch) from public;
--;
-- sql/watch/_trigger_names.sql
create or replace function recovery._trigger_names(p_watch recovery.watch)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array['zz_recovery_10_insert', 'zz_recovery_20_update', 'recovery_10_insert', 'recovery_20_update',
                 'recovery_30_delete', 'recovery_40_truncate']
        || case when c.relkind = 'p' then array['zz_recovery_30_delete']
                when p_watch.owner is not null then array['zz_recovery_25_null', 'zz_recovery_27_owner']
                else array['zz_recovery_25_null'] end
    from pg_class as c where c.oid = p_watch.relation
$$;
--;
comment on function recovery._trigger_names(recovery.watch) is
    'The names of what recovery._trigger_definitions makes: a sweep asks for them each time, and has no use for the '
    'statements.';
--;
revoke all on function recovery._trigger_names(recovery.watch) from public;
--;
-- sql/watch/_trigger_sql.sql
create or replace function recovery._trigger_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The body of the trigger function of one watch and one operation. It is generated, with the watch's
   expressions in place, because a general one would have to turn every row into json.

   BEFORE triggers write the owner into the row and fence closed rows. They decide nothing that must hold for the
   row as it is in the end: an insert may come to nothing (on conflict), a later trigger of the host may change it.
   AFTER triggers fence what opens and closes work, and write the event.

   The usual case, a live server that opens or closes its own row, is one expression, which takes the lock,
   and one statement, which writes the event only if the epoch lives. They are two on purpose: the
   statement's snapshot must be younger than the lock. Everything else is the branch behind `not found`.

   A row that changes its partition fires BEFORE UPDATE, DELETE and INSERT one after the other, and at the end of
   the statement AFTER DELETE and INSERT, in the order of the rows. So the first three tell each other by settings
   of the transaction which row moves, and count the rows that do; AFTER DELETE leaves what was to AFTER INSERT,
   which tells the two as the update that they are. The settings are named by the depth of triggers: statements in
   triggers of the host come between. Anybody can set them, so nothing is left out because of them before the
   insert is there: AFTER DELETE fences and says what it says of every row, AFTER INSERT takes that back.       */
declare
    v_knows constant text := recovery._render_sql(
        'recovery._has_names({table!l}::regclass, {uses!l})',
        jsonb_build_object('table', p_watch.relation::oid, 'uses', p_watch.uses::text));
    v_row   constant text := case p_operation
        when 'before_insert' then 'new' when 'before_update' then 'new' when 'before_delete' then 'old' else 'null' end;
begin
    return recovery._render_sql($sql$
        begin
            if {knows} then
        {usual}
            end if;
            -- A name that stands above has changed, and recovery._follow_watch has not come yet.
            begin
        {unknown}
        {stale}
            exception when others then
                if sqlstate like 'RC%' then
                    raise;
                end if;
                raise warning 'recovery: a write of watch "%" passes unseen: %', {watch!l}, sqlerrm;
                return {row};
            end;
        end
        $sql$, jsonb_build_object(
        'knows', v_knows,
        'usual', case when recovery._calls_functions(p_watch) then recovery._render_sql($sql$
                    begin
                {block}
                    exception when undefined_function then
                        null;  -- it has another name, which invalidates no plan that asks for names
                    end;
        $sql$, jsonb_build_object(
            'block', recovery._operation_sql(p_watch, p_operation) || ';'))
                        else recovery._operation_sql(p_watch, p_operation) || ';' end,
        -- Whether the row is open can't be told: it keeps, or gets, an owner.
        'unknown', case when p_operation in ('before_insert', 'before_update') then recovery._render_sql($sql$
                if recovery._stale_value({id}, 'open', new.*) is null then
                    new.server_epoch := coalesce(
                        new.server_epoch, {owner}nullif(current_setting('recovery.server_epoch', true), '')::bigint);
                    return new;
                end if;
        $sql$, jsonb_build_object(
            'id', p_watch.id, 'owner', case p_operation when 'before_update' then 'old.server_epoch, ' else '' end))
                        else '' end,
        'stale', recovery._operation_sql(recovery._stale_watch(p_watch), p_operation) || ';',
        'watch', p_watch.name,
        'row', v_row));
end
$function$;
--;
comment on function recovery._trigger_sql(recovery.watch, text) is
    'Body of a trigger function of a watch: before_insert, before_update, before_delete: the owner, and the fence of '
    'closed rows; insert, update, delete, truncate: the fence, then the event, then the bell.';
--;
revoke all on function recovery._trigger_sql(recovery.watch, text) from public;
--;
-- sql/watch/_try_closing.sql
create or replace function recovery._try_closing(
    p_watch recovery.watch, p_key text[], p_epoch bigint, out o_done boolean, out o_error jsonb
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_task   recovery.task;
    v_count  jsonb;
    v_state  text;
    v_error  text;
    v_hint   text;
    v_name   text;
    v_column text;
    v_type   text;
begin
    o_done := false;
    v_task.keys := p_key;
    v_task.epochs := array[p_epoch];
    v_task.reason := 'superseded';
    v_task.message := recovery._reason_message('superseded');
    v_task.detector := 'rehearsal';
    v_task.at := recovery._now();
    v_task.written := clock_timestamp();
    v_task.path := p_watch.path;
    begin
        -- The update alone: events are not the host's, and would use up their ids.
        select c.* into v_count from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with {update}
            n as (select count(*) as rows from u1)
            select to_jsonb(n.rows) from n
            $sql$, jsonb_build_object('update', recovery._close_update_sql(
            p_watch, 1, recovery._close_image(p_watch, false), 'row', 'any', 'ignore', true, false, false))),
            v_task, 'write') as c;
        o_done := v_count <> '0';  -- else somebody has it locked
        perform recovery._fail('RX000', 'taken back');
    exception when sqlstate 'RX000' then
        null;
    when lock_not_available or deadlock_detected then
        null;
    when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint,
            v_name = constraint_name, v_column = column_name, v_type = pg_datatype_name;
        o_error := jsonb_build_object('sqlstate', v_state, 'message', v_error, 'hint', nullif(v_hint, ''),
            'constraint', nullif(v_name, ''), 'column', nullif(v_column, ''), 'type', nullif(v_type, ''));
    end;
end
$$;
--;
comment on function recovery._try_closing(recovery.watch, text[], bigint) is
    'Closes one row and takes it back: whether that went, and the error if not; neither if somebody holds the row.';
--;
revoke all on function recovery._try_closing(recovery.watch, text[], bigint) from public;
--;
-- sql/watch/_unit_of.sql
create or replace function recovery._unit_of(p_watch text, p_scope text, p_key text, p_what text)
returns recovery.unit
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit;
begin
    select w.family, p_scope, w.name, p_key into v_unit from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        perform recovery._fail('RC008', format('nothing is watched as %s', coalesce(quote_literal(p_watch), 'null')),
            'See recovery.watch for the names.');
    elsif p_scope is null or p_scope not in ('row', 'group') then
        perform recovery._fail('RC010',
            format('%s scope %s is not known', p_what, coalesce(quote_literal(p_scope), 'null')),
            'Allowed are row and group.');
    end if;
    return v_unit;
end
$$;
--;
comment on function recovery._unit_of(text, text, text, text) is
    'The unit that a caller names; p_what (fuse, touch, process) names what is wrong in errors. '
    'RC008 not watched, RC010 unknown scope.';
--;
revoke all on function recovery._unit_of(text, text, text, text) from public;
--;
-- sql/watch/_unit_rows.sql
create or replace function recovery._unit_rows(p_unit recovery.unit)
returns table (watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_named  recovery.watch := recovery._watch_of_unit(p_unit);
    v_watch  recovery.watch;
    v_group  text;
    v_key    text;
    v_groups text[];
    v_task   recovery.task;
begin
    v_group := case p_unit.scope when 'group' then p_unit.key
                           else recovery._child_group(v_named, p_unit.key) end;
    v_groups := case when v_group is not null then recovery._group_tree(v_named.family, array[v_group], false) end;
    v_task.key := p_unit.key;
    v_task.keys := v_groups;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = v_named.family order by w.position, w.name
    loop
        v_key := recovery._key_text(v_watch.key_columns, 'r');
        return query select v_watch.name, f.row ->> 0, f.row ->> 1, (f.row ->> 2)::bigint
            from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                select jsonb_build_array({key}, {group}, r.server_epoch)
                from {relation} as r
                where ({open}) and ({meant}) and ({of_unit})
                $sql$, jsonb_build_object(
                'key', v_key,
                'group', coalesce('(' || v_watch.group_by || ')::text', 'null::text'),
                'relation', v_watch.relation,
                'open', v_watch.open,
                'meant', coalesce(v_watch.only_if, 'true'),
                'of_unit', coalesce(nullif(concat_ws(' or ',
                    case when v_groups is not null and v_watch.group_by is not null
                        then recovery._key_sql(v_watch, 'groups') end,
                    case when p_unit.scope <> 'row' then null
                         when v_watch.name = p_unit.watch then v_key || ' = ($1).key'
                         else 'false' end), ''), 'false'))), v_task) as f (row);
    end loop;
end
$$;
--;
comment on function recovery._unit_rows(recovery.unit) is
    'Open rows of a unit, with what the row waits for and all descendants: what closing it concerns.';
--;
revoke all on function recovery._unit_rows(recovery.unit) from public;
--;
-- sql/watch/_watch_definitions.sql
create or replace function recovery._watch_definitions(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind text;
begin
    foreach v_kind in array array['open', 'started'] loop
        name := 'recovery_' || v_kind || '_' || p_watch.id;
        if (v_kind = 'open' or p_watch.supervised is not null) and not exists (
            select from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace
            where t.oid = p_watch.relation and c.relname = _watch_definitions.name)
        then
            statement := recovery._index_sql(p_watch, v_kind);
            return next;
        end if;
    end loop;
    return query
        select t.name, t.statement from recovery._trigger_definitions(p_watch) as t
        where not exists (select from pg_trigger as g where g.tgrelid = p_watch.relation and g.tgname = t.name);
end
$$;
--;
comment on function recovery._watch_definitions(recovery.watch) is
    'The statements that make the index and the triggers of a watch, as far as its table does not have them.';
--;
revoke all on function recovery._watch_definitions(recovery.watch) from public;
--;
-- sql/watch/_watch_flaw.sql
create or replace function recovery._watch_flaw(p_watch recovery.watch)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select f.flaw from (
        select 1 as n, 'the column server_epoch is gone' as flaw
        where not exists (
            select from pg_attribute as a
            where a.attrelid = p_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
        union all
        select 2, 'its table has another owner'
        where (recovery._runner_of(p_watch.relation)).id is distinct from p_watch.runner
        union all
        select 3, 'triggers of its table are not noticed, or not lent to' where recovery._is_stale(p_watch.relation)
        union all
        select 4, format('%s is gone', d.name) from recovery._watch_definitions(p_watch) as d
        union all
        select 5, i.problem
        from unnest(array['open', 'started']) as k (kind)
        cross join lateral recovery._index_problem(p_watch, k.kind) as i
        where i.problem is not null and (k.kind = 'open' or p_watch.supervised is not null)
        union all
        select 6, format('trigger %s of %s is disabled, or not for it', t.tgname, t.tgrelid::regclass)
        from (select p_watch.relation::oid as oid
              union select p.relid from pg_partition_tree(p_watch.relation) as p) as l
        join pg_trigger as t on t.tgrelid = l.oid
        join pg_proc as p on p.oid = t.tgfoid
        where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
          and (t.tgenabled <> 'O' or p.pronamespace = 'recovery'::regnamespace
              and p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', p_watch.id))
        union all
        select 7, format('function %s is not its runner''s, or not for the table''s owner', p.proname)
        from recovery.runner as r
        join pg_roles as o on o.rolname = r.role
        join pg_proc as p on p.pronamespace = 'recovery'::regnamespace
            and p.proname ~ format('^watch_%s_', p_watch.id)
        where r.id = p_watch.runner
          and (p.proowner <> o.oid or not p.prosecdef or not has_function_privilege(r.owner, p.oid, 'execute'))
        union all
        select 8, 'its runner may not write its events'
        from recovery.runner as r
        cross join unnest(recovery._outbox_views(p_watch.outbox)) as v (name)
        where r.id = p_watch.runner
          and (to_regclass(v.name) is null or not has_table_privilege(r.role, to_regclass(v.name), 'insert'))
    ) as f
    order by f.n, f.flaw limit 1
$$;
--;
comment on function recovery._watch_flaw(recovery.watch) is
    'What a watch and its table lack of all that recovery.attach makes, so that repeating it has something to repair; '
    'null: nothing.';
--;
revoke all on function recovery._watch_flaw(recovery.watch) from public;
--;
-- sql/watch/_watch_indexes.sql
create or replace function recovery._watch_indexes(p_watch recovery.watch)
returns table (name text, plain boolean)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.oid::regclass::text, c.relkind = 'i'
    from (select p_watch.relation::oid as oid union select p.relid from pg_partition_tree(p_watch.relation) as p) as t
    join pg_index as i on i.indrelid = t.oid
    join pg_class as c on c.oid = i.indexrelid
    where not c.relispartition
      and c.relname ~ format('^recovery_(open|started)_%s(_new)?(_[0-9]+_[0-9a-f]{6})?$', p_watch.id)
    order by c.relkind = 'i', c.relname
$$;
--;
comment on function recovery._watch_indexes(recovery.watch) is
    'The indexes that were made for a watch, with what an interruption has left on partitions; plain: it can be '
    'dropped concurrently. Those that belong to another one go with it.';
--;
revoke all on function recovery._watch_indexes(recovery.watch) from public;
--;
-- sql/watch/_watch_of_unit.sql
create or replace function recovery._watch_of_unit(p_unit recovery.unit)
returns recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A group outlives the watch through which it was named: any other of its family knows it as well.
    select w.* from recovery._attached_watches() as w
    where case p_unit.scope when 'group' then w.family = p_unit.family else w.name = p_unit.watch end
    order by w.name <> p_unit.watch, w.name limit 1
$$;
--;
comment on function recovery._watch_of_unit(recovery.unit) is
    'The watch through which a unit is looked at; null if there is none any more.';
--;
revoke all on function recovery._watch_of_unit(recovery.unit) from public;
--;
-- sql/watch/_yield_triggers.sql
create or replace function recovery._yield_triggers(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.runner is distinct from (recovery._runner_of(p_watch.relation)).id then
        perform recovery._lock_table(p_watch.relation, 'access exclusive');
        perform recovery._drop_triggers(p_watch.relation);
    end if;
end
$$;
--;
comment on function recovery._yield_triggers(recovery.watch) is
    'Drops the triggers of a table that has another owner now: before the trigger functions, which are made anew for '
    'its runner.';
--;
revoke all on function recovery._yield_triggers(recovery.watch) from public;
--;
-- sql/watch/alter.sql
create or replace function recovery.alter(p_table regclass, p_changes jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* server_epoch stays as it is: whoever owned work in flight before goes on to own it. Fuses, requests, failures and
   settings follow a new name; recovery._carry_over moves them. */
declare
    v_before recovery.watch;
    v_after  recovery.watch;
begin
    perform recovery._check_owner(p_table);
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    perform recovery._prepare_runner(p_table);
    perform recovery._yield_triggers(v_before);
    if p_changes ?| array['name', 'family'] or v_before.outbox <> v_before.id then
        -- Writers of the table wait for the view of its events, too, once that changes: so first they wait here.
        perform recovery._lock_table(p_table, 'access exclusive');
    end if;
    -- Check and compile: by the triggers of recovery.watch.
    update recovery.watch as w
    set spec = recovery._changed_spec(p_table, w.spec, p_changes), path = coalesce(p_changes ->> 'search_path', w.path)
    where w.relation = p_table returning w.* into v_after;
    if v_before.attached is null
        or not recovery._differs(v_before, v_after) and recovery._watch_flaw(v_after) is null
    then
        perform set_config('recovery.attaching', '', true);
        return v_after.name;
    end if;
    perform recovery._add_owner_column(v_after);
    -- While nobody waits for it.
    perform recovery._rehearse_watch(p_table);
    perform recovery._rehearse_closing(p_table);
    if recovery._same_definitions(v_before, v_after) and recovery._watch_flaw(v_after) is null then
        perform set_config('recovery.attaching', '', true);
        return v_after.name;
    end if;
    -- Triggers, index.
    perform recovery._lock_table(p_table, 'access exclusive');
    perform recovery._drop_triggers(p_table);
    perform recovery._replace_indexes(v_before, v_after);
    perform recovery._make_definitions(v_after);
    perform recovery._comment_triggers(p_table);
    perform set_config('recovery.attaching', '', true);
    return v_after.name;
end
$$;
--;
comment on function recovery.alter(regclass, jsonb) is
    'Changes options of a watch: an object with the names of those of recovery.attach, without p_; null resets one. '
    'Every owner of work in flight stays. Also repairs what was removed or disabled. Returns the name. RC006 cannot '
    'work, RC007 the name is taken, RC008 not watched, RC010 no such option, 42501 not the owner.';
--;
revoke all on function recovery.alter(regclass, jsonb) from public;
--;
-- sql/watch/alter_steps.sql
create or replace function recovery.alter_steps(
    p_table regclass, p_changes jsonb, p_lock_timeout interval default '50 ms'
)
returns table (step integer, of integer, what text, statement text)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_before recovery.watch;
    v_after  recovery.watch;
    v_whats  text[] := '{}';
    v_texts  text[] := '{}';
    v_step   record;
begin
    perform recovery._check_owner(p_table);
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    v_after := recovery._altered_watch(v_before, p_changes);
    for v_step in
        select s.what, s.statement
        from (values (1, 'open'), (2, 'started')) as k (n, kind)
        cross join lateral recovery._index_steps(v_after, k.kind, '_new', p_lock_timeout) with ordinality
            as s (what, statement, m)
        where v_before.attached is not null and (k.kind = 'open' or v_after.supervised is not null)
          -- What is there, and fits, stays.
          and (recovery._index_sql(v_before, k.kind) is distinct from recovery._index_sql(v_after, k.kind)
               or (recovery._index_problem(v_before, k.kind)).problem is not null)
        order by k.n, s.m
    loop
        v_whats := v_whats || v_step.what;
        v_texts := v_texts || v_step.statement;
    end loop;
    if v_texts <> '{}' then
        perform recovery._check_definer(v_after);
    end if;
    if v_texts <> '{}' or v_after.spec <> v_before.spec or v_after.path <> v_before.path
        or v_before.attached is not null and recovery._watch_flaw(v_before) is not null
    then
        v_whats := v_whats || 'rehearse, change triggers'::text;
        v_texts := v_texts || recovery._brief_sql(
            format('select recovery.alter(%L::regclass, %L)', p_table, p_changes), p_lock_timeout);
    end if;
    return query select s.n::integer, cardinality(v_texts), v_whats[s.n], s.text
        from unnest(v_texts) with ordinality as s (text, n) order by s.n;
end
$$;
--;
comment on function recovery.alter_steps(regclass, jsonb, interval) is
    'As recovery.attach_steps: the statements by which a client changes options of a watch while nobody waits. An '
    'index that changes is made beside the one in use. Errors as recovery.alter.';
--;
revoke all on function recovery.alter_steps(regclass, jsonb, interval) from public;
--;
-- sql/watch/attach.sql
create or replace function recovery.attach(
    -- The row: its table, when it is work in flight, how a closing ends it.
    p_table         regclass,
    p_open          text,                   -- condition over r
    p_close         jsonb,                  -- column -> expression over r and the closing c
    p_name          text     default null,  -- of the watch, in events and reports; by default schema.table
    -- The group: a session, whose rows close together.
    p_group         text     default null,  -- expression: which one the row belongs to
    p_family        text     default null,  -- watches of one family share their groups; by default the name
    p_parent        text     default null,  -- of a row that is a group: its parent; trees close deepest first
    p_position      integer  default 100,   -- order within the family: lower ones are closed and announced first
    p_order         text     default null,  -- order of the rows of one group in events
    -- The events: which there are, what they record, what the bus calls them.
    p_events        text     default 'all', -- all: every transition; closed: only what recovery itself does
    p_image         text     default null,  -- jsonb expression: what is recorded; by default the columns of p_close
    p_topic         text     default null,  -- of a row
    p_failed_topics text[]   default null,  -- of a group in which work was closed
    p_idle_topics   text[]   default null,  -- of a group in which nothing is open any more
    -- The time: when open work began, and until when it is left alone.
    p_started       text     default null,  -- timestamptz expression, immutable
    p_launch_grace  interval default null,  -- work this young is kept, although no fuse guards it yet
    p_unowned       interval default null,  -- rows of no epoch that are older are closed at boot
    p_only          text     default null,  -- condition: the open row of an ended epoch is damage; others are let go
    -- The owner: where another session than the worker's writes the row.
    p_owner         text     default null,  -- text expression: the name of the server that does the work
    p_alive         text     default null,  -- boolean expression: evidence of its life in the host's own tables
    p_alive_lease   interval default interval '15 seconds',  -- seen false for so long, the row is an orphan
    -- The retry: back to the queue while attempts are left.
    p_requeue       jsonb    default null,  -- column -> expression, as p_close, and then set instead of it
    p_attempts      text     default null,  -- the integer column that counts
    p_max_attempts  integer  default 3,     -- so many in all; the last one fails
    p_free_reasons  text[]   default '{shutdown,drain_expired}',  -- an interruption for one of these costs no attempt
    p_not_before    text     default null,  -- the timestamptz column before which the queue must not take it again
    p_backoff       interval default interval '1 second',   -- so long after the first attempt, then twice as long
    p_max_backoff   interval default interval '5 minutes',  -- and never longer than this
    -- The host: by what path its triggers find their names when a closing fires them.
    p_search_path   text     default pg_catalog.current_setting('search_path'),
    -- How: at once, in this transaction, or only registered, for a client that executes recovery.attach_steps.
    p_concurrently  boolean  default false
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* With the rights of its caller, who must have those of the table's owner. What needs ours is done by the triggers of
   recovery.watch: that of its insert checks the options and compiles the expressions. */
declare
    v_owner  regrole := (select c.relowner from pg_class as c where c.oid = p_table);
    v_runner recovery.runner;
    v_before recovery.watch;
    v_watch  recovery.watch;
    v_spec   jsonb;
    v_empty  boolean;
    v_other  boolean;
    v_path   text := regexp_replace(p_search_path, '"?\$user"?', quote_ident(current_user));
begin
    -- Check. Everybody may call this function, but only who was permitted may call those that it needs.
    if not has_schema_privilege('recovery', 'usage')
        or not has_function_privilege('recovery._check_owner(regclass)', 'execute')
    then
        raise exception using errcode = '42501', message = format('%s is not permitted to attach tables', current_user),
            hint = format('A DBA runs this once: select recovery.permit(%L);',
                case when pg_has_role(v_owner::oid, 'usage') then v_owner::text else quote_ident(current_user) end);
    end if;
    perform recovery._check_owner(p_table);
    perform recovery._check_table(p_table);
    v_spec := jsonb_build_object(
        'open', p_open, 'close', p_close, 'name', coalesce(p_name, (
            select w.name from recovery.watch as w where w.relation = p_table), (
            select n.nspname || '.' || c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)),
        'group', p_group, 'family', p_family, 'parent', p_parent, 'position', p_position, 'order', p_order,
        'events', p_events, 'image', p_image, 'topic', p_topic,
        'failed_topics', p_failed_topics, 'idle_topics', p_idle_topics,
        'started', p_started, 'launch_grace', p_launch_grace, 'unowned', p_unowned, 'only', p_only,
        'requeue', p_requeue, 'attempts', p_attempts,
        'max_attempts', case when p_requeue is not null then p_max_attempts end
    ) || jsonb_strip_nulls(jsonb_build_object(
        'owner', p_owner, 'alive', p_alive, 'alive_lease', case when p_alive is not null then p_alive_lease end,
        'free_reasons', case when p_requeue is not null then p_free_reasons end,
        'not_before', p_not_before, 'backoff', case when p_not_before is not null then p_backoff end,
        'max_backoff', case when p_not_before is not null then p_max_backoff end));
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    perform recovery._forget_dropped();
    -- Grants.
    v_runner := recovery._prepare_runner(p_table);
    -- Compile.
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if v_before.id is null then
        perform recovery._check_partitions(p_table);
        insert into recovery.watch (relation, spec, path, attached)
        values (p_table, v_spec, v_path, case when not p_concurrently then clock_timestamp() end)
        returning * into v_watch;
    elsif v_before.spec <> v_spec or v_before.path <> v_path then
        perform recovery._yield_triggers(v_before);
        -- What was only spelled differently is the same; and what is not in force yet may still be changed.
        begin
            update recovery.watch as w set spec = v_spec, path = v_path where w.relation = p_table
            returning w.* into v_watch;
            v_other := recovery._differs(v_before, v_watch);
        exception when sqlstate 'RC006' then
            if v_before.attached is null or v_before.spec = v_spec then
                raise;
            end if;
            v_other := true;
        end;
        if v_before.attached is not null and v_other then
            perform recovery._fail('RC007',
                format('%s is watched already, as "%s", with another specification', p_table, v_before.name),
                format('Change it, and every owner of work in flight stays: select recovery.alter(%L, ''{...}''), or '
                    'recovery.alter in Python.', p_table));
        end if;
    else
        v_watch := v_before;
    end if;
    if p_concurrently then
        perform set_config('recovery.attaching', '', true);
        return v_watch.name;
    end if;
    if v_before.attached is not null then
        if recovery._watch_flaw(v_watch) is null and recovery._watch_flaw(v_before) is null then
            perform set_config('recovery.attaching', '', true);
            return v_watch.name;
        end if;
        -- Something of it was removed or disabled: what can be made anew is.
        perform recovery._check_partitions(p_table);
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
        perform recovery._repair_indexes(v_watch);
        update recovery.watch as w set path = w.path where w.relation = p_table returning w.* into v_watch;
    elsif v_before.id is not null then
        perform recovery._repair_indexes(v_watch);
        update recovery.watch as w set attached = clock_timestamp() where w.relation = p_table
        returning w.* into v_watch;
    end if;
    perform recovery._add_owner_column(v_watch);
    -- Index, triggers, rehearsal. The last before our triggers are there, where it needs a row made up, and after the
    -- index, where it has to look for one.
    execute format('select not exists (select from %s)', p_table) into v_empty;
    if v_empty then
        perform recovery._rehearse_watch(p_table);
        perform recovery._rehearse_closing(p_table);
    end if;
    perform recovery._complete_watch(v_watch);
    if not v_empty then
        perform recovery._rehearse_closing(p_table);
    end if;
    perform set_config('recovery.attaching', '', true);
    return v_watch.name;
end
$$;
--;
comment on function recovery.attach(
    regclass, text, jsonb, text,
    text, text, text, integer, text,
    text, text, text, text[], text[],
    text, interval, interval, text,
    text, text, interval,
    jsonb, text, integer,
    text[], text, interval, interval,
    text, boolean
) is
    'Watches a table: adds server_epoch, a partial index and triggers, after planning the real statements. '
    'Returns the name. Repeating the same registration repairs what was removed since, and else does nothing. '
    'Everybody may call it; it refuses who does not own the table (42501) or was not permitted to by '
    'recovery.permit (42501, with the statement to run). '
    'RC006 cannot work, RC007 watched with another specification.';
--;
revoke all on function recovery.attach(
    regclass, text, jsonb, text,
    text, text, text, integer, text,
    text, text, text, text[], text[],
    text, interval, interval, text,
    text, text, interval,
    jsonb, text, integer,
    text[], text, interval, interval,
    text, boolean
) from public;
--;
-- sql/watch/attach_steps.sql
create or replace function recovery.attach_steps(p_table regclass, p_lock_timeout interval default '50 ms')
returns table (step integer, of integer, what text, statement text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* For a table that must not wait: recovery.attach(..., p_concurrently => true) has registered it, and a client
   executes the first of these statements, asks again, and so on. What is there is looked up each time, so whoever was
   interrupted goes on where it stands. */
declare
    v_watch recovery.watch;
    v_whats text[] := '{}';
    v_texts text[] := '{}';
    v_step  record;
begin
    perform recovery._check_owner(p_table);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    if not exists (
        select from pg_attribute as a where a.attrelid = p_table and a.attname = 'server_epoch' and not a.attisdropped)
    then
        v_whats := v_whats || 'add column server_epoch'::text;
        v_texts := v_texts || recovery._brief_sql(format(
            'select recovery._add_owner_column(w) from recovery.watch as w where w.relation = %L::regclass',
            p_table), p_lock_timeout);
    end if;
    for v_step in
        select s.what, s.statement
        from (values (1, 'open'), (2, 'started')) as k (n, kind)
        cross join lateral recovery._index_steps(v_watch, k.kind, '', p_lock_timeout) with ordinality
            as s (what, statement, m)
        where k.kind = 'open' or v_watch.supervised is not null
        order by k.n, s.m
    loop
        v_whats := v_whats || v_step.what;
        v_texts := v_texts || v_step.statement;
    end loop;
    if v_texts <> '{}' then
        perform recovery._check_definer(v_watch);
    end if;
    if v_texts <> '{}' or v_watch.attached is null or recovery._watch_flaw(v_watch) is not null then
        v_whats := v_whats || 'rehearse, make triggers'::text;
        v_texts := v_texts || recovery._brief_sql(
            format('select recovery._finish_attach(%L::regclass)', p_table), p_lock_timeout);
    end if;
    return query select s.n::integer, cardinality(v_texts), v_whats[s.n], s.text
        from unnest(v_texts) with ordinality as s (text, n) order by s.n;
end
$$;
--;
comment on function recovery.attach_steps(regclass, interval) is
    'What is left to do after recovery.attach(..., p_concurrently => true), or to repair a watch: statements for a '
    'client to execute one by one, each in a transaction of its own (create index concurrently needs that), asking '
    'anew after each. p_lock_timeout: how long one waits for a lock, while others wait behind it; 55P03 then, and it '
    'is tried again. No row: all is done. RC008 not watched, 42501 not the owner.';
--;
revoke all on function recovery.attach_steps(regclass, interval) from public;
--;
-- sql/watch/compare_watch.sql
create or replace function recovery.compare_watch(
    p_table       regclass,
    p_options     jsonb,              -- option of recovery.attach -> what is wanted; what is missing has its default
    p_supervision jsonb default null  -- the same of recovery.supervise; null: nothing is wanted of it
)
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_wanted jsonb;
    v_spec   jsonb;
begin
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        return null;
    end if;
    v_wanted := recovery._spec_defaults(p_options) || jsonb_build_object('cancel', 'row', 'name', (
            select n.nspname || '.' || c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table))
        || jsonb_strip_nulls(p_options - 'search_path') || jsonb_strip_nulls(coalesce(p_supervision, '{}'));
    v_spec := '{"cancel": "row"}' || jsonb_strip_nulls(coalesce(v_watch.supervised, '{}') - 'started')
        || jsonb_strip_nulls(v_watch.spec);
    return array(
        select k.option
        from (
            select jsonb_object_keys(v_wanted) union select jsonb_object_keys(v_spec)
        ) as k (option)
        where case
            -- One length has several spellings.
            when k.option in ('launch_grace', 'unowned', 'alive_lease', 'backoff', 'max_backoff') then
                (v_wanted ->> k.option)::interval is distinct from (v_spec ->> k.option)::interval
            else v_wanted -> k.option is distinct from v_spec -> k.option end
        union all
        select 'search_path' where p_options ->> 'search_path' <> v_watch.path
        order by 1);
end
$$;
--;
comment on function recovery.compare_watch(regclass, jsonb, jsonb) is
    'What of a watch is not as it is wanted: names of options of recovery.attach and recovery.supervise, as given to '
    'them and not as compiled; none: it is as wanted; null: the table is not watched.';
--;
revoke all on function recovery.compare_watch(regclass, jsonb, jsonb) from public;
--;
-- sql/watch/detach.sql
create or replace function recovery.detach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* With the rights of its caller. What it executes is built from the catalog; the only thing taken from
   recovery.watch is a number and a boolean. All that it waits for is the lock; who can't wait for it long, or whose
   table is large, executes recovery.detach_steps one by one. */
declare
    v_watch   recovery.watch;
    v_runner  recovery.runner;
    v_index   text;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table),
            'See recovery.watch for the tables that are.');
    end if;
    if exists (select from pg_class as c where c.oid = p_table) then
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
        for v_index in select i.name from recovery._watch_indexes(v_watch) as i loop
            execute 'drop index ' || v_index;
        end loop;
        if v_watch.own_column then
            execute format('alter table %s drop column if exists server_epoch', p_table);
            perform recovery._clean_partitions(p_table);
        end if;
        v_runner := recovery._runner_of(p_table);
        if v_runner.privileged then
            perform recovery._reclaim_table(p_table, v_runner.role);
        end if;
    end if;
    delete from recovery.watch as w where w.relation = p_table;
    perform set_config('recovery.attaching', '', true);
end
$$;
--;
comment on function recovery.detach(regclass) is
    'Stops watching a table and restores it as it was before recovery.attach. Its events stay. RC008 if it is not '
    'watched, 42501 if the caller does not own it.';
--;
revoke all on function recovery.detach(regclass) from public;
--;
-- sql/watch/detach_steps.sql
create or replace function recovery.detach_steps(p_table regclass, p_lock_timeout interval default '50 ms')
returns table (step integer, of integer, what text, statement text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_watch recovery.watch;
begin
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table),
            'See recovery.watch for the tables that are.');
    end if;
    return query
        select (row_number() over (order by s.n, s.what))::integer, count(*) over ()::integer, s.what, s.statement
        from (
            select 1, 'drop triggers', recovery._brief_sql(
                format('select recovery._begin_detach(%L::regclass)', p_table), p_lock_timeout)
            where v_watch.attached is not null
            union all
            select 2, 'drop index ' || i.name, 'drop index concurrently ' || i.name
            from recovery._watch_indexes(v_watch) as i where i.plain
            union all
            select 3, 'drop column, forget the watch', recovery._brief_sql(
                format('select recovery.detach(%L::regclass)', p_table), p_lock_timeout)
        ) as s (n, what, statement)
        order by 1;
end
$$;
--;
comment on function recovery.detach_steps(regclass, interval) is
    'As recovery.attach_steps: the statements that detach a table of which nobody is to wait. RC008 not watched.';
--;
revoke all on function recovery.detach_steps(regclass, interval) from public;
--;
-- sql/follow/_calls_functions.sql
create or replace function recovery._calls_functions(p_watch recovery.watch)
returns boolean
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from jsonb_array_elements(p_watch.uses) as u (use)
        where u.use ->> 0 = 'function'
          and strpos(concat_ws(' ', p_watch.open, p_watch.group_by, p_watch.image, p_watch.owner),
                     (u.use ->> 3) || '(') > 0)
$$;
--;
comment on function recovery._calls_functions(recovery.watch) is
    'Whether the expressions that stand in the trigger functions of a watch call functions that are not built in.';
--;
revoke all on function recovery._calls_functions(recovery.watch) from public;
--;
-- sql/follow/_canonical_spec.sql
create or replace function recovery._canonical_spec(p_watch recovery.watch, p_sets jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select p_watch.spec || p_sets || jsonb_strip_nulls(jsonb_build_object(
        'open', p_watch.open,
        'group', p_watch.group_by,
        'parent', p_watch.parent,
        'only', p_watch.only_if,
        'owner', p_watch.owner,
        'alive', p_watch.alive,
        'order', substring(p_watch.order_by from '^ROW\((.*)\)$'),
        'started', case when p_watch.supervised ->> 'started' is null then p_watch.started end,
        'image', case when p_watch.spec ->> 'image' is not null then p_watch.image end)
    ) || jsonb_build_object('supervised', p_watch.supervised || jsonb_strip_nulls(jsonb_build_object(
        'kind', p_watch.kind,
        'activity', p_watch.activity,
        'timeout', p_watch.timeout,
        'hold', p_watch.hold,
        'child', p_watch.child,
        'started', case when p_watch.supervised ->> 'started' is not null then p_watch.started end)))
$$;
--;
comment on function recovery._canonical_spec(recovery.watch, jsonb) is
    'Step of recovery._compile_watch: the options of a watch with each expression as PostgreSQL prints it, p_sets '
    'those of close and requeue. Two watches that mean the same have the same.';
--;
revoke all on function recovery._canonical_spec(recovery.watch, jsonb) from public;
--;
-- sql/follow/_check_constraints.sql
create or replace function recovery._check_constraints(p_watch recovery.watch)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Nothing is written and no trigger fires: this is for a sweep, and for a statement of the host, which must not wait.
   recovery._rehearse_closing does more when a table is attached. One bad row is no broken watch: a
   constraint counts that reads only what the closing sets, or that several rows do not pass, and none does. */
declare
    v_columns text;
    v_tests   text;
    v_found   text;
begin
    select string_agg(format('%s as %I', coalesce('(' || (p_watch.close ->> a.attname) || ')::'
               || format_type(a.atttypid, a.atttypmod), format('r.%I', a.attname)), a.attname), ', ' order by a.attnum)
    into v_columns
    from pg_attribute as a where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped;
    select string_agg(format('(%L, %L::boolean, %s)', t.name, t.certain, t.holds), ', ' order by t.name) into v_tests
    from (
        select k.conname::text, not exists (
                   select from unnest(k.conkey) as c (n) join pg_attribute as a
                     on a.attrelid = k.conrelid and a.attnum = c.n
                   where not p_watch.close ? a.attname),
               '(' || pg_get_expr(k.conbin, k.conrelid) || ')'
        from pg_constraint as k where k.conrelid = p_watch.relation and k.contype = 'c'
        union all
        select 'not null of ' || a.attname, false, format('%I is not null', a.attname)
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnotnull and not a.attisdropped and p_watch.close ? a.attname
    ) as t (name, certain, holds);
    if v_tests is null then
        return;
    end if;
    select f #>> '{}' into v_found
    from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
        select to_jsonb(k.recovery_name)
        from (
            select {columns}
            from (
                (select r.* from {relation} as r where ({open}) limit 20)
                union all
                (select r.* from {relation} as r limit 1)
            ) as r
            cross join (values ('superseded'::text, 'server restart'::text, 'sweep'::text, now(), 0::bigint, 0::bigint))
                as c (reason, message, detector, at, ms, epoch)
        ) as {name!i}
        cross join lateral (values {tests}) as k (recovery_name, recovery_certain, recovery_holds)
        group by k.recovery_name
        having bool_and(k.recovery_holds is false) and (count(*) > 3 or bool_and(k.recovery_certain))
        order by 1 limit 1
        $sql$, jsonb_build_object(
        'columns', v_columns,
        'relation', p_watch.relation,
        'open', p_watch.open,
        'name', (select c.relname from pg_class as c where c.oid = p_watch.relation),
        'tests', v_tests))) as f;
    if v_found is not null then
        perform recovery._fail('RC006', format('each close of a row of %s would fail: constraint "%s" (SQLSTATE %s)',
            p_watch.relation, v_found, case when v_found like 'not null of %' then '23502' else '23514' end),
            'Give values that the table accepts, or change what refuses them.');
    end if;
end
$$;
--;
comment on function recovery._check_constraints(recovery.watch) is
    'Tries the CHECK and NOT NULL constraints of a table on a row as a closing would leave it, without writing it. '
    'RC006 with the constraint that refuses it.';
--;
revoke all on function recovery._check_constraints(recovery.watch) from public;
--;
-- sql/follow/_compile_uses.sql
create or replace function recovery._compile_uses(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found jsonb;
    v_uses  jsonb;
begin
    select recovery._parse_expression(p_watch.relation,
        'row(' || string_agg(e.expression, ', ' order by e.expression) || ') is null', 'boolean', true)
    into v_found
    from recovery._expressions(p_watch.canonical) as e;
    with
    used (class, object, part) as (
        select (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (j.triple ->> 2)::integer
        from jsonb_array_elements(v_found -> 'uses') as j (triple)
        union
        select 'pg_class'::regclass, a.attrelid, a.attnum
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped
          and (a.attname = any(p_watch.key_columns) or p_watch.close ? a.attname)
        union
        -- The type of a column that a closing sets: its literals have that type.
        select 'pg_type'::regclass, a.atttypid, 0
        from pg_attribute as a
        where a.attrelid = p_watch.relation and p_watch.close ? a.attname and a.atttypid >= 16384
    ),
    enum (type) as (
        select distinct coalesce(e.oid, t.oid)
        from used as u
        join pg_type as t on t.oid = u.object and u.class = 'pg_type'::regclass
        left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
        where coalesce(e.typtype, t.typtype) = 'e'
    ),
    thing (kind, object, part) as (
        select case u.class when 'pg_type'::regclass then 'type' when 'pg_proc'::regclass then 'function'
                    else case u.part when 0 then 'relation' else 'column' end end, u.object, u.part
        from used as u
        where u.class in ('pg_type'::regclass, 'pg_proc'::regclass)
           or u.class = 'pg_class'::regclass and (u.part > 0 or u.object <> p_watch.relation)
        union
        -- Of a relation of which only columns are noted.
        select 'relation', u.object, 0 from used as u
        where u.class = 'pg_class'::regclass and u.object <> p_watch.relation
        union all
        select 'label', l.oid, 0 from enum as e join pg_enum as l on l.enumtypid = e.type
        union all
        select 'system', 0, 0
    )
    select jsonb_agg(jsonb_build_array(t.kind, t.object, t.part, p.name) order by t.kind, t.object, t.part) into v_uses
    from thing as t cross join lateral recovery._present_name(t.kind, t.object, t.part) as p (name)
    where p.name is not null;  -- the view itself is none of it
    return v_uses;
end
$$;
--;
comment on function recovery._compile_uses(recovery.watch) is
    'Step of recovery._compile_watch: what its expressions, key and closing use, and how that is called: an array of '
    '[kind, object, part, name], see recovery._present_name.';
--;
revoke all on function recovery._compile_uses(recovery.watch) from public;
--;
-- sql/follow/_expressions.sql
create or replace function recovery._expressions(p_spec jsonb)
returns table (path text[], expression text)
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array[o.key], case o.key when 'order' then 'row(' || o.value || ')' else o.value end
    from jsonb_each_text(p_spec) as o
    where o.value is not null
      and o.key in ('open', 'group', 'parent', 'order', 'image', 'started', 'only', 'owner', 'alive')
    union all
    select array[o.key, e.key], e.value
    from jsonb_each(p_spec) as o
    cross join lateral jsonb_each_text(case jsonb_typeof(o.value) when 'object' then o.value else '{}' end) as e
    where e.value is not null
      and (o.key in ('close', 'requeue')
           or o.key = 'supervised' and e.key in ('kind', 'activity', 'timeout', 'hold', 'child', 'started'))
$$;
--;
comment on function recovery._expressions(jsonb) is
    'The expressions among the options of a watch, with their path in p_spec: as recovery.watch.spec, and what '
    'recovery.supervise was given under supervised.';
--;
revoke all on function recovery._expressions(jsonb) from public;
--;
-- sql/follow/_follow_ddl.sql
create or replace function recovery._follow_ddl()
returns event_trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* What a boot or sweep would do, in the transaction of the change itself: nobody sees a state between. Whatever
   fails here is noted, and the host's statement goes on. */
declare
    v_watch record;
    v_state text;
    v_error text;
    v_hint  text;
begin
    if current_setting('recovery.attaching', true) = 'on' then
        return;  -- our own
    end if;
    for v_watch in
        select w.name
        from recovery._attached_watches() as w
        where tg_tag <> 'ALTER TABLE'
           or w.relation::oid in (select d.objid from pg_event_trigger_ddl_commands() as d)
        order by w.family, w.position
    loop
        begin
            perform recovery._follow_watch(v_watch.name);
            perform recovery._note_blind_watches(v_watch.name);
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint;
            perform recovery._note_broken_watch(v_watch.name, v_state, v_error, v_hint);
        end;
    end loop;
exception when others then
    raise warning 'recovery: %', sqlerrm;
end
$$;
--;
comment on function recovery._follow_ddl() is
    'Event trigger behind what a host may change: follows it at once, or notes the watch that it has broken.';
--;
revoke all on function recovery._follow_ddl() from public;
--;
-- sql/follow/_follow_watch.sql
create or replace function recovery._follow_watch(p_name text, p_anyway boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_state text;
    v_key   text[];
    v_spec  jsonb;
    v_gone  text;
begin
    select w.* into v_watch from recovery.watch as w where w.name = p_name;
    v_state := recovery._table_state(v_watch);
    if v_watch.id is null
        or v_watch.checked = v_state and recovery._has_names(v_watch.relation, v_watch.uses) and not p_anyway
        or not pg_try_advisory_xact_lock(hashtextextended('recovery.attach', 0))
    then
        return;  -- or somebody else is at it
    end if;
    select w.* into v_watch from recovery.watch as w where w.name = p_name;
    if v_watch.id is null then
        return;
    end if;
    -- Object ids of another cluster say nothing: after a restore the names are right as they are.
    if recovery._is_native(v_watch) then
        v_key := recovery._present_key(v_watch);
        if v_key is distinct from recovery._primary_key(v_watch.relation) then
            perform recovery._fail('RC006', format('the primary key of %s is (%s), and was (%s) when it was attached',
                v_watch.relation, array_to_string(recovery._primary_key(v_watch.relation), ', '),
                array_to_string(v_key, ', ')));
        end if;
        begin
            if recovery._rename_map(v_watch) <> '{}' then
                v_spec := recovery._renamed_spec(v_watch);
            end if;
        exception when sqlstate 'RC006' then
            v_gone := sqlerrm;  -- or something else has its name now
        end;
    end if;
    begin
        -- What was given means more than what was compiled: a literal there has no type yet, and takes that of the
        -- column.
        update recovery.watch as w
        set spec = coalesce(v_spec - 'supervised', w.spec),
            supervised = case when v_spec is null then w.supervised else nullif(v_spec -> 'supervised', 'null') end
        where w.id = v_watch.id;
    exception when sqlstate 'RC006' then
        if v_gone is null then
            raise;
        end if;
        perform recovery._fail('RC006', v_gone);
    end;
    perform recovery._rehearse_watch(v_watch.relation);
    perform recovery._check_constraints(w) from recovery.watch as w where w.id = v_watch.id;
end
$$;
--;
comment on function recovery._follow_watch(text, boolean) is
    'Step of a boot and a sweep: makes the routines of a watch anew if its owner has renamed what they use, and '
    'tries it if rights, constraints or triggers of its table have changed, or p_anyway. RC006, 42501 it is '
    'broken.';
--;
revoke all on function recovery._follow_watch(text, boolean) from public;
--;
-- sql/follow/_forget_ddl.sql
create or replace function recovery._forget_ddl()
returns event_trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._forget_dropped();
exception when others then
    raise warning 'recovery: %', sqlerrm;
end
$$;
--;
comment on function recovery._forget_ddl() is
    'Event trigger behind a DROP: nothing is left of a watch on a dropped table.';
--;
revoke all on function recovery._forget_ddl() from public;
--;
-- sql/follow/_forget_dropped.sql
create or replace function recovery._forget_dropped()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation))
        and pg_try_advisory_xact_lock(hashtextextended('recovery.attach', 0))
    then
        delete from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation);
    end if;
end
$$;
--;
comment on function recovery._forget_dropped() is
    'Step of a boot, a sweep and an attach: removes what was made for tables that were dropped. Their events stay.';
--;
revoke all on function recovery._forget_dropped() from public;
--;
-- sql/follow/_has_names.sql
create or replace function recovery._has_names(p_table regclass, p_uses jsonb)
returns boolean
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* It is not immutable, and says so on purpose: called with constants PostgreSQL computes it as it plans the expression
   around it, and never again until that plan is invalidated. The regclass among the constants makes the plan depend
   on the table, so that any ALTER TABLE does that. A trigger asks for each row, and it costs nothing. */
begin
    return not exists (
        select from jsonb_array_elements(p_uses) as u (use)
        where recovery._present_name(u.use ->> 0, (u.use ->> 1)::oid, (u.use ->> 2)::integer)
            is distinct from u.use ->> 3);
end
$$;
--;
comment on function recovery._has_names(regclass, jsonb) is
    'Whether everything that a watch on p_table uses is still called as when its routines were made; p_uses as '
    'recovery.watch.uses. For trigger functions, which have the names in them.';
--;
revoke all on function recovery._has_names(regclass, jsonb) from public;
--;
-- sql/follow/_is_native.sql
create or replace function recovery._is_native(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(bool_and(case u.use ->> 0
               when 'system' then u.use ->> 3 = recovery._present_name('system', 0, 0)
               else (u.use ->> 1)::oid = p_watch.relation end), false)
    from jsonb_array_elements(p_watch.uses) as u (use)
    where u.use ->> 0 = 'system'
       or u.use ->> 0 = 'column' and (u.use ->> 1)::oid = (
           select (o.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as o (use)
           where o.use ->> 0 = 'column' and o.use ->> 3 = p_watch.key_columns[1]
           order by (o.use ->> 1)::oid <> p_watch.relation limit 1)
$$;
--;
comment on function recovery._is_native(recovery.watch) is
    'Whether a watch was compiled here, and not in the database from which this one was restored.';
--;
revoke all on function recovery._is_native(recovery.watch) from public;
--;
-- sql/follow/_note_blind_watches.sql
create or replace function recovery._note_blind_watches(p_watch text default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change record;
begin
    for v_change in
        with now as materialized (
            select w.name as watch, 'triggers_disabled' as why
            from recovery._attached_watches() as w
            where (p_watch is null or w.name = p_watch) and w.events <> 'closed' and (
                exists (
                    select from (
                        select w.relation::oid as oid
                        -- Without a lock, which pg_partition_tree takes.
                        union select p.relation from recovery._partitions_of(w.relation) as p) as l
                    join pg_trigger as t on t.tgrelid = l.oid
                    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgenabled in ('D', 'R'))
                or exists (
                    select from unnest(recovery._trigger_names(w)) as d (name)
                    where not exists (
                        select from pg_trigger as t where t.tgrelid = w.relation and t.tgname = d.name)))
            union all
            select w.name, 'replicated'
            from recovery._attached_watches() as w
            where (p_watch is null or w.name = p_watch) and w.events <> 'closed'
              and recovery._is_replicated(w.family)
        )
        select coalesce(n.watch, b.watch) as watch, coalesce(n.why, b.why) as why, b.since,
               n.watch is not null as begins
        from now as n
        full join (
            select b.* from recovery.blind_watch as b where p_watch is null or b.watch = p_watch
        ) as b on b.watch = n.watch and b.why = n.why
        where n.watch is null or b.watch is null
    loop
        if v_change.begins then
            insert into recovery.blind_watch (watch, why) values (v_change.watch, v_change.why)
            on conflict (watch, why) do nothing;
        else
            delete from recovery.blind_watch as b where (b.watch, b.why) = (v_change.watch, v_change.why);
        end if;
        -- Once, whoever sees it first.
        if found and exists (select from recovery._attached_watches() as w where w.name = v_change.watch) then
            insert into recovery.outbox (watch, kind, topic, key, reason, detector, new)
            select w.name, 'gap', w.topic, '', v_change.why, 'recovery', jsonb_strip_nulls(jsonb_build_object(
                'why', v_change.why, 'since', coalesce(v_change.since, clock_timestamp()),
                'until', case when not v_change.begins then clock_timestamp() end))
            from recovery.watch as w where w.name = v_change.watch;
        end if;
    end loop;
end
$$;
--;
comment on function recovery._note_blind_watches(text) is
    'Notices tables of watches (or of one) that are written without events, and says so once, at its beginning and at '
    'its end: what was changed between the two, the table itself has to be asked.';
--;
revoke all on function recovery._note_blind_watches(text) from public;
--;
-- sql/follow/_present_key.sql
create or replace function recovery._present_key(p_watch recovery.watch)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(recovery._present_name('column', p_watch.relation, (u.use ->> 2)::integer) order by k.n)
    from unnest(p_watch.key_columns) with ordinality as k (name, n)
    left join jsonb_array_elements(p_watch.uses) as u (use)
      on u.use ->> 0 = 'column' and (u.use ->> 1)::oid = p_watch.relation and u.use ->> 3 = k.name
$$;
--;
comment on function recovery._present_key(recovery.watch) is
    'What the key columns with which a watch was compiled are called now.';
--;
revoke all on function recovery._present_key(recovery.watch) from public;
--;
-- sql/follow/_present_name.sql
create or replace function recovery._present_name(p_kind text, p_object oid, p_part integer)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- By functions that read the catalog as it is now, where there is one, and not as a transaction's snapshot sees it.
    select case p_kind
        when 'column' then (
            select n.name from (select (
                pg_identify_object_as_address('pg_class'::regclass, p_object, p_part)).object_names[3]) as n (name)
            where n.name not like '........pg.dropped.%')
        when 'relation' then (pg_identify_object('pg_class'::regclass, p_object, 0)).identity
        when 'type' then format_type(p_object, null)
        when 'function' then (
            select format('%I.%I', n.nspname, p.proname)
            from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where p.oid = p_object)
        when 'label' then (select e.enumlabel::text from pg_enum as e where e.oid = p_object)
        when 'system' then (select c.system_identifier::text from pg_control_system() as c)
    end
$$;
--;
comment on function recovery._present_name(text, oid, integer) is
    'What an object that a watch uses is called now: kind column (of the relation p_object), relation, type, function, '
    'label of an enum; system: the cluster, for object ids mean nothing in another. Null: it is gone.';
--;
revoke all on function recovery._present_name(text, oid, integer) from public;
--;
-- sql/follow/_primary_key.sql
create or replace function recovery._primary_key(p_table regclass)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(a.attname::text order by k.n)
    from pg_index as i
    cross join lateral unnest(i.indkey) with ordinality as k (attnum, n)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = p_table and i.indisprimary and k.n <= i.indnkeyatts
$$;
--;
comment on function recovery._primary_key(regclass) is 'The columns of the primary key of a table; null: it has none.';
--;
revoke all on function recovery._primary_key(regclass) from public;
--;
-- sql/follow/_release_columns.sql
create or replace function recovery._release_columns()
returns event_trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL refuses to drop a column that the condition of a trigger reads, or to change its type. What is open must
   stand in such conditions, for the sake of streaming updates; so our triggers step aside before the statement and
   come back behind it (recovery._return_triggers). What the statement will do, nothing says at this point but its
   text. With the rights of whoever alters the table. */
declare
    v_watch  recovery.watch;
    v_schema regnamespace;
begin
    if not has_schema_privilege('recovery', 'usage')
        or not has_function_privilege('recovery._watches_in_the_way(text)', 'execute')
    then
        return;
    end if;
    for v_watch in select w.* from recovery._watches_in_the_way(current_query()) as w loop
        perform recovery._drop_triggers(v_watch.relation);
        -- Its expressions may not fit the new type; PostgreSQL would make it anew now anyway.
        select c.relnamespace::regnamespace into v_schema from pg_class as c where c.oid = v_watch.relation;
        execute format('drop index if exists %1$s.recovery_open_%2$s, %1$s.recovery_started_%2$s',
            v_schema, v_watch.id);
        perform set_config('recovery.released',
            concat_ws(' ', nullif(current_setting('recovery.released', true), ''), v_watch.relation::oid), true);
    end loop;
exception when others then
    raise warning 'recovery: triggers stay in the way of this statement: %', sqlerrm;
end
$$;
--;
comment on function recovery._release_columns() is
    'Event trigger before ALTER TABLE: takes the triggers of a watch away where the statement seems to drop a column '
    'that they read, or to change its type.';
--;
revoke all on function recovery._release_columns() from public;
--;
-- sql/follow/_rename_map.sql
create or replace function recovery._rename_map(p_watch recovery.watch)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Beside each name what a replacement must know: "from <table>" that it is one, "labels <type>" that its labels
    -- have changed.
    select coalesce(jsonb_object_agg(m.was, m.name), '{}')
    from recovery._renames(p_watch) as r
    cross join lateral (values
        (r.was, r.name),
        (case r.kind when 'relation' then 'from ' || r.was when 'label' then 'labels ' || split_part(r.was, '/', 1) end,
         '')) as m (was, name)
    where m.was is not null
$$;
--;
comment on function recovery._rename_map(recovery.watch) is
    'recovery._renames as one object, for recovery._rename_sql.';
--;
revoke all on function recovery._rename_map(recovery.watch) from public;
--;
-- sql/follow/_rename_sql.sql
create or replace function recovery._rename_sql(p_expression text, p_renames jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* Tokens: a string with the type to which it is cast, a name with all its parts, any other character. */
declare
    c_name  constant text := '(?:"(?:[^"]|"")*"|[a-zA-Z_][a-zA-Z0-9_$]*)';
    v_text   text := '';
    v_rest   text := p_expression;
    v_token  text;
    v_parts  text[];
    v_type   text;
    v_value  text;
    v_schema boolean;
begin
    for v_token, v_parts in
        select t.m[1], t.m[2:4]
        from regexp_matches(p_expression, replace(
            $re$((?:('(?:[^']|'')*')::(NAME(?:\.NAME)*)(\[\])?)|'(?:[^']|'')*'|NAME(?:\.NAME)*|.)$re$, 'NAME', c_name),
            'g') as t (m)
    loop
        v_rest := substr(v_rest, length(v_token) + 1);
        if v_parts[1] is not null then
            v_type := v_parts[2];
            v_value := replace(substr(v_parts[1], 2, length(v_parts[1]) - 2), $q$''$q$, $q$'$q$);
            if v_parts[3] is not null and p_renames ? ('labels ' || v_type) then
                select array_agg(coalesce(p_renames ->> (v_type || '/' || a.label), a.label) order by a.n)::text
                into v_value from unnest(v_value::text[]) with ordinality as a (label, n);
            else
                v_value := coalesce(p_renames ->> (v_type || '/' || v_value), v_value);
            end if;
            if p_renames ? v_type or p_renames ? ('labels ' || v_type) then
                v_token := quote_literal(v_value) || '::' || coalesce(p_renames ->> v_type, v_type)
                    || coalesce(v_parts[3], '');
            end if;
        elsif v_token ~ '^[a-zA-Z_"]' then
            v_value := substring(v_token from '\.' || c_name || '$');
            -- Of a schema r, and not of the row.
            v_schema := v_token like 'r.%' and (v_rest like '(%' or right(v_text, 9) ~ '(::|OPERATOR\(|COLLATE )$'
                or p_renames ? ('from ' || v_token));
            if v_token like 'r.%' and not v_schema then
                v_token := 'r.' || coalesce(p_renames ->> ('row' || substr(v_token, 2)), substr(v_token, 3));
            elsif v_token !~ '^[rc]\.' and v_token ~ ('^' || c_name || '\.' || c_name || '$')
                and p_renames ? v_value and v_rest !~ '^\('
            then
                v_token := left(v_token, - length(v_value)) || '.' || (p_renames ->> v_value);
            elsif p_renames ? v_token then
                -- A table without an alias is called by its name in the rest of the expression.
                v_token := (p_renames ->> v_token) || case
                    when p_renames ? ('from ' || v_token) and v_rest !~ '^\s+[a-z_"]' then ' ' || substr(v_value, 2)
                    else '' end;
            end if;
        end if;
        v_text := v_text || v_token;
    end loop;
    return v_text;
end
$$;
--;
comment on function recovery._rename_sql(text, jsonb) is
    'A compiled expression with other names in place of some: p_renames as recovery._rename_map makes it.';
--;
revoke all on function recovery._rename_sql(text, jsonb) from public;
--;
-- sql/follow/_renamed_spec.sql
create or replace function recovery._renamed_spec(p_watch recovery.watch)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec    jsonb := p_watch.canonical;
    v_renames jsonb := recovery._rename_map(p_watch);
    v_one     record;
begin
    for v_one in select e.path, e.expression from recovery._expressions(v_spec) as e loop
        v_spec := jsonb_set(v_spec, v_one.path, to_jsonb(recovery._rename_sql(v_one.expression, v_renames)));
    end loop;
    if v_spec ->> 'order' is not null then
        v_spec := jsonb_set(v_spec, '{order}', to_jsonb(substring(v_spec ->> 'order' from '^row\((.*)\)$')));
    end if;
    -- The columns that a closing sets stand as keys.
    for v_one in
        select o.option, jsonb_object_agg(coalesce(
            (parse_ident(v_renames ->> ('row.' || quote_ident(c.name)), false))[1], c.name), c.expression) as columns
        from unnest(array['close', 'requeue']) as o (option)
        cross join lateral jsonb_each(
            case jsonb_typeof(v_spec -> o.option) when 'object' then v_spec -> o.option else '{}' end)
            as c (name, expression)
        group by o.option
    loop
        v_spec[v_one.option] := v_one.columns;
    end loop;
    for v_one in
        select o.option, v_renames ->> ('row.' || quote_ident(v_spec ->> o.option)) as name
        from unnest(array['attempts', 'not_before']) as o (option)
        where v_renames ? ('row.' || quote_ident(v_spec ->> o.option))
    loop
        v_spec[v_one.option] := to_jsonb((parse_ident(v_one.name, false))[1]);
    end loop;
    return v_spec;
end
$$;
--;
comment on function recovery._renamed_spec(recovery.watch) is
    'The options of a watch, as recovery.watch.canonical, with the present names of what they use. RC006 something is '
    'gone.';
--;
revoke all on function recovery._renamed_spec(recovery.watch) from public;
--;
-- sql/follow/_renames.sql
create or replace function recovery._renames(p_watch recovery.watch)
returns table (kind text, was text, name text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* As they stand in a compiled expression, but a column of the table as row.status, for a host may have a type r.status
   (a schema "row" would stand in quotes); of another one as .status; a label behind its type, as app.state/running. */
declare
    v_use   record;
begin
    for v_use in
        select u.use ->> 0 as kind, (u.use ->> 1)::oid as object, u.use ->> 3 as was, p.name
        from jsonb_array_elements(p_watch.uses) as u (use)
        cross join lateral recovery._present_name(u.use ->> 0, (u.use ->> 1)::oid, (u.use ->> 2)::integer) as p (name)
        where p.name is distinct from u.use ->> 3
        order by p.name is not null, u.use ->> 0 = 'column'
    loop
        if v_use.name is null then
            perform recovery._fail('RC006', format('%s %s%s does not exist any more', v_use.kind, v_use.was,
                case v_use.kind when 'column' then format(' of %s', coalesce(
                    (pg_identify_object('pg_class'::regclass, v_use.object, 0)).identity, 'a table')) else '' end));
        end if;
        kind := v_use.kind;
        was := v_use.was;
        name := v_use.name;
        if kind = 'column' then
            was := case v_use.object when p_watch.relation then 'row' else '' end || '.' || quote_ident(v_use.was);
            name := quote_ident(v_use.name);
            if v_use.object <> p_watch.relation and exists (
                select from jsonb_array_elements(p_watch.uses) as u (use)
                where u.use ->> 0 = 'column' and u.use ->> 3 = v_use.was
                  and (u.use ->> 1)::oid not in (v_use.object, p_watch.relation))
            then
                perform recovery._fail('RC006', format('column %s of %s is called %s now, and another table that the '
                    'expressions read has a column of the old name', v_use.was, v_use.object::regclass, v_use.name));
            end if;
        elsif kind = 'label' then
            select (t.use ->> 3) || '/' || v_use.was into was
            from pg_enum as e join jsonb_array_elements(p_watch.uses) as t (use)
              on t.use ->> 0 = 'type' and (t.use ->> 1)::oid in (
                  select y.oid from pg_type as y where y.oid = e.enumtypid
                  union select y.typarray from pg_type as y where y.oid = e.enumtypid)
            where e.oid = v_use.object order by 1 limit 1;
            was := replace(was, '[]', '');
        end if;
        return next;
    end loop;
end
$$;
--;
comment on function recovery._renames(recovery.watch) is
    'What a watch uses that has got another name since it was compiled. RC006 something is gone.';
--;
revoke all on function recovery._renames(recovery.watch) from public;
--;
-- sql/follow/_return_triggers.sql
create or replace function recovery._return_triggers()
returns event_trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_released text := nullif(current_setting('recovery.released', true), '');
    v_watch    recovery.watch;
    v_trigger  record;
begin
    if v_released is null then
        return;
    end if;
    perform set_config('recovery.released', '', true);
    for v_watch in
        select w.* from recovery.watch as w where w.relation::oid = any(string_to_array(v_released, ' ')::oid[])
    loop
        if not exists (select from recovery.broken_watch as b where b.watch = v_watch.name) then
            perform recovery._make_definitions(v_watch);
            perform recovery._comment_triggers(v_watch.relation);
            continue;
        end if;
        -- What still works. Without a condition our BEFORE triggers let each row keep, or get, an owner.
        for v_trigger in select d.name, d.statement from recovery._watch_definitions(v_watch) as d loop
            begin
                execute v_trigger.statement;
            exception when others then
                if v_trigger.name in ('zz_recovery_10_insert', 'zz_recovery_20_update') then
                    execute regexp_replace(v_trigger.statement, ' when \(.*\) execute function', ' execute function');
                end if;
            end;
        end loop;
        perform recovery._check_definitions(v_watch.relation);
    end loop;
exception when others then
    raise warning 'recovery: triggers are missing, attach the table again: %', sqlerrm;
end
$$;
--;
comment on function recovery._return_triggers() is
    'Event trigger behind ALTER TABLE: makes the triggers anew that recovery._release_columns took away.';
--;
revoke all on function recovery._return_triggers() from public;
--;
-- sql/follow/_row_key_sql.sql
create or replace function recovery._row_key_sql(p_watch recovery.watch, p_row text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when p_watch.key_columns is null
        then format('recovery._stale_value(%s, ''key'', %s.*)', p_watch.id, p_row)
        else recovery._key_text(p_watch.key_columns, p_row) end
$$;
--;
comment on function recovery._row_key_sql(recovery.watch, text) is
    'SQL text for the key of the row p_row (new, old, r) in a trigger function; of recovery._stale_watch: by its '
    'present names.';
--;
revoke all on function recovery._row_key_sql(recovery.watch, text) from public;
--;
-- sql/follow/_stale_sql.sql
create or replace function recovery._stale_sql(p_watch integer, p_what text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch   recovery.watch;
    v_renames jsonb;
    v_text    text;
begin
    select w.* into strict v_watch from recovery.watch as w where w.id = p_watch;
    v_renames := recovery._rename_map(v_watch);
    v_text := case p_what
        when 'open' then v_watch.open
        when 'group' then v_watch.group_by
        when 'image' then v_watch.image
        when 'owner' then v_watch.owner
        when 'key' then recovery._key_text(v_watch.key_columns, 'r') end;
    v_text := recovery._realias_sql(recovery._rename_sql(v_text, v_renames), E'\x01');
    return format('select (%s)::text', replace(replace(v_text, E'\x01.*', '$1'), E'\x01.', '($1).'));
end
$$;
--;
comment on function recovery._stale_sql(integer, text) is
    'The statement that computes the open, group, image, owner or key of the row $1 by the present names of what it '
    'uses. RC006 something is gone.';
--;
revoke all on function recovery._stale_sql(integer, text) from public;
--;
-- sql/follow/_stale_value.sql
create or replace function recovery._stale_value(p_watch integer, p_what text, p_row anyelement)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value text;
begin
    execute recovery._stale_sql(p_watch, p_what) into v_value using p_row;
    return v_value;
exception when others then
    -- The watch is broken. Its rows wait, and the host's write goes on.
    raise debug 'recovery: what is % in a row of watch % cannot be told: %', p_what, p_watch, sqlerrm;
    return case p_what when 'key' then '?' when 'image' then '{}' end;
end
$$;
--;
comment on function recovery._stale_value(integer, text, anyelement) is
    'The open, group, image or key of a row by the present names of what it uses, for a trigger function that still '
    'has the old ones. Null, with a warning, if it cannot be told.';
--;
revoke all on function recovery._stale_value(integer, text, anyelement) from public;
--;
-- sql/follow/_stale_watch.sql
create or replace function recovery._stale_watch(p_watch recovery.watch)
returns recovery.watch
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_value constant text := 'recovery._stale_value(' || p_watch.id || ', %L, r.*)';
begin
    v_watch.open := format(v_value, 'open') || '::boolean';
    v_watch.image := format(v_value, 'image') || '::jsonb';
    if v_watch.group_by is not null then
        v_watch.group_by := format(v_value, 'group');
    end if;
    if v_watch.owner is not null then
        v_watch.owner := format(v_value, 'owner');
    end if;
    v_watch.key_columns := null;
    return v_watch;
end
$$;
--;
comment on function recovery._stale_watch(recovery.watch) is
    'A watch whose expressions ask recovery._stale_value: what its trigger functions do while a name that they have in '
    'them has changed and recovery._follow_watch has not come yet.';
--;
revoke all on function recovery._stale_watch(recovery.watch) from public;
--;
-- sql/follow/_table_state.sql
create or replace function recovery._table_state(p_watch recovery.watch)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select md5(concat_ws(E'\n', c.relowner, c.relacl, n.nspacl, c.relrowsecurity, c.relforcerowsecurity, c.relkind,
        (select string_agg(concat_ws(' ', p.oid, p.polcmd, p.polroles, p.polpermissive), ',' order by p.oid)
         from pg_policy as p where p.polrelid = c.oid),
        (select string_agg(concat_ws(' ', k.oid, k.conbin), ',' order by k.oid)
         from pg_constraint as k where k.conrelid = c.oid),
        (select string_agg(concat_ws(' ', t.oid, t.tgenabled), ',' order by t.oid)
         from pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
           and t.tgname !~ '^(zz_)?recovery_[0-9]{2}_'),
        (select string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attacl), ','
                           order by a.attnum)
         from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           and a.attname <> 'server_epoch'),
        -- What else its expressions read and call.
        (select string_agg(concat_ws(' ', o.oid, o.relowner, o.relacl, o.relrowsecurity), ',' order by o.oid)
         from pg_class as o where o.oid in (
             select (u.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as u (use)
             where u.use ->> 0 = 'relation')),
        (select string_agg(concat_ws(' ', f.oid, f.proowner, f.proacl), ',' order by f.oid)
         from pg_proc as f where f.oid in (
             select (u.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as u (use)
             where u.use ->> 0 = 'function')),
        (select string_agg(concat_ws(' ', r.rolsuper, r.rolbypassrls), ',' order by r.oid) from pg_roles as r
         where r.oid = c.relowner or r.rolname = (
             select n.role from recovery.runner as n where n.id = p_watch.runner))))
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = p_watch.relation
$$;
--;
comment on function recovery._table_state(recovery.watch) is
    'Prints what can keep a closing of a watch from working: owner, rights, row security, constraints, triggers, '
    'columns. When that has changed, the watch is rehearsed again.';
--;
revoke all on function recovery._table_state(recovery.watch) from public;
--;
-- sql/follow/_watches_in_the_way.sql
create or replace function recovery._watches_in_the_way(p_query text)
returns setof recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with
    said (what, name) as (
        select p.what, case when m.name[1] like '"%' then replace(trim('"' from m.name[1]), '""', '"')
                            else lower(m.name[1]) end
        from (values
            ('table', '\malter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(?:NAME\s*\.\s*)?(NAME)'),
            ('column', '\m(?:drop|alter)\s+(?:column\s+)?(?:if\s+exists\s+)?(NAME)')) as p (what, pattern)
        cross join lateral regexp_matches(
            p_query, replace(p.pattern, 'NAME', '(?:"(?:[^"]|"")*"|[[:alpha:]_][[:alnum:]_$]*)'), 'gi') as m (name)
        where p_query ~* '\m(drop|type)\M'
    )
    select w.*
    from recovery._attached_watches() as w
    join pg_class as c on c.oid = w.relation
    where exists (select from said as t where t.what = 'table' and t.name = c.relname)
      and exists (
        select from pg_attribute as a join said as s on s.what = 'column' and s.name = a.attname
        where a.attrelid = c.oid
          and (a.attnum = any(w.open_columns || w.owner_columns)
               or strpos(w.started, 'r.' || quote_ident(a.attname)) > 0))
$$;
--;
comment on function recovery._watches_in_the_way(text) is
    'The watches whose triggers and indexes keep the ALTER TABLE in p_query from dropping a column or '
    'changing its type, as far as its text shows that.';
--;
revoke all on function recovery._watches_in_the_way(text) from public;
--;
-- sql/server/_begin_boot.sql
create or replace function recovery._begin_boot(
    p_name          text,
    p_host          text,
    p_pid           integer,
    p_process_start timestamptz,
    p_version       text,
    p_lease         interval,
    p_grace         interval,
    p_policy        text,
    p_lock_wait     interval,
    p_beat          interval,
    p_direct        boolean,
    out o_epoch     bigint,
    out o_token     uuid,
    out o_ended     bigint[]
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_older  bigint;
    v_holder record;
    v_until  timestamptz := recovery._call_deadline();
begin
    perform recovery._check_name(p_name);
    if p_lease is null or p_lease < interval '1 second' or p_lease > interval '1 day' then
        perform recovery._fail('RC010', format('lease %s is not allowed', coalesce(p_lease::text, 'null')),
            'Give a lease from 1 second to 1 day.');
    end if;
    if p_grace is null or p_grace <= interval '0' or p_grace > p_lease then
        perform recovery._fail('RC010', format('suspicion grace %s is not allowed', coalesce(p_grace::text, 'null')),
            format('Give an interval above 0 and up to the lease (%s).', p_lease));
    elsif p_policy is null or p_policy not in ('supersede', 'replace', 'wait', 'refuse') then
        perform recovery._fail('RC010',
            format('boot policy %s is not known', coalesce(quote_literal(p_policy), 'null')),
            'Allowed are supersede, replace, wait and refuse.');
    end if;
    if p_beat is not null then
        perform recovery._check_interval('beat', p_beat, interval '1 millisecond', p_lease);
    end if;
    perform recovery._check_process(p_host, p_pid, p_process_start, false);
    if octet_length(p_version) > 200 or p_version ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('version %s is not allowed', quote_literal(left(p_version, 60))),
            'Give up to 200 bytes without control characters.');
    end if;
    -- One boot of a name at a time; a second one comes after and sees the first.
    perform set_config('lock_timeout', '30s', true);
    begin
        perform pg_advisory_xact_lock(hashtextextended('recovery.boot:' || p_name, 0));
    exception when lock_not_available then
        perform recovery._fail('RC005',
            format('server name "%s" is being booted by another session since 30 s', p_name),
            'See pg_locks for the session that holds it.');
    end;
    if p_policy in ('wait', 'refuse') then
        select s.epoch, s.host, s.pid, s.heartbeat + s.lease as until into v_holder
        from recovery.server as s join recovery.evidence as e on e.epoch = s.epoch
        where s.name = p_name and s.drain_until is null and not e.process_dead and not e.lease_expired
        order by s.epoch desc limit 1;
        if found and p_policy = 'wait' then
            return;
        elsif found then
            perform recovery._fail('RC005',
                format('server name "%s" is held by epoch %s (host %s, pid %s), whose lease holds until %s', p_name,
                v_holder.epoch, coalesce(v_holder.host, 'unknown'), coalesce(v_holder.pid::text, 'unknown'),
                to_char(v_holder.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                'Stop that server, boot with policy supersede or replace, or give another name.');
        end if;
    end if;
    loop
        insert into recovery.server (epoch, name, host, pid, process_start, version, lease, grace, booted, heartbeat,
            beat, keeper)
        values (recovery._next_epoch(), p_name, p_host, p_pid, p_process_start, p_version, p_lease, p_grace,
            recovery._now(), recovery._now(),
            p_beat, p_beat is not null and coalesce(p_direct, true))
        on conflict (epoch) do nothing
        returning epoch, token into o_epoch, o_token;
        exit when found;
    end loop;
    -- From its first moment, so that who boots after us sees us. This session becomes the keeper's.
    if p_beat is not null and coalesce(p_direct, true) then
        perform pg_try_advisory_lock(-o_epoch);
    end if;
    o_ended := '{}';
    for v_older in
        select s.epoch from recovery.server as s
        where s.name = p_name and s.ended is null and s.epoch <> o_epoch
          and coalesce(s.drain_until < recovery._now(), true)
          and (p_policy = 'replace' or not recovery._is_sibling(s, p_host, p_pid, p_process_start))
        order by s.epoch
    loop
        -- All of them or none: a zombie that is left may go on writing. Said in time, since PostgreSQL's own error
        -- would not say what to do.
        perform recovery._check_deadline();
        if recovery._end_epoch(v_older, 'superseded',
            case when isfinite(v_until)
                then least(p_lock_wait, (v_until - clock_timestamp()) / 3 + interval '200 milliseconds')
                else p_lock_wait end)
        then
            o_ended := o_ended || v_older;
        end if;
    end loop;
end
$$;
--;
comment on function recovery._begin_boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean
) is
    'First transaction of a boot: makes the epoch and ends the older ones of the same name, save those that drain or '
    'are shown to be alive (policy replace ends these, too). Policy refuse raises RC005 if a live server holds the '
    'name, wait returns nulls. RC004 bad name, RC010 bad argument.';
--;
revoke all on function recovery._begin_boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, interval, boolean
) from public;
--;
-- sql/server/_begin_shutdown.sql
create or replace function recovery._begin_shutdown(p_epoch bigint, p_token uuid, p_heir bigint, p_lock_wait interval)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_server record;
begin
    select s.name, s.token into v_server from recovery.server as s where s.epoch = p_epoch;
    if not found then
        perform recovery._fail('RC002',
            format('epoch %s is unknown: no server booted with it', coalesce(p_epoch::text, 'null')),
            'Give the epoch that recovery.boot returned.');
    elsif p_token is null then
        perform recovery._fail('RC003',
            format('epoch %s of server "%s" is not shut down without its token', p_epoch, v_server.name),
            'Give the token that recovery.boot returned with the epoch; only a member of recovery_owner may go '
            'without.');
    elsif p_token <> v_server.token then
        perform recovery._fail('RC003',
            format('epoch %s belongs to another boot of server "%s": the token does not match', p_epoch, v_server.name),
            'After a failover an epoch may have been issued again; boot again to get a new one.');
    end if;
    if p_heir = p_epoch then
        perform recovery._fail('RC010', format('epoch %s cannot be its own heir', p_heir),
            'Give the epoch of another live server.');
    elsif p_heir is not null then
        perform recovery.assert_live(p_heir);
        -- With the end itself: a sweep that comes between must hand over, too, and not close.
        update recovery.server as s set heir = p_heir where s.epoch = p_epoch and s.ended is null;
    end if;
    return recovery._end_epoch(p_epoch, 'shutdown', p_lock_wait);
end
$$;
--;
comment on function recovery._begin_shutdown(bigint, uuid, bigint, interval) is
    'First transaction of a shutdown: checks epoch, token and heir, and ends the epoch. False if it had ended before.';
--;
revoke all on function recovery._begin_shutdown(bigint, uuid, bigint, interval) from public;
--;
-- sql/server/_check_name.sql
create or replace function recovery._check_name(p_name text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_name is null or btrim(p_name) = '' then
        perform recovery._fail('RC004', format('server name %s is empty', coalesce(quote_literal(p_name), 'null')),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    elsif octet_length(p_name) > 200 then
        perform recovery._fail('RC004',
            format('server name "%s..." has %s bytes', left(p_name, 30), octet_length(p_name)),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    elsif p_name ~ '[[:cntrl:]]' then
        perform recovery._fail('RC004', format('server name %s has control characters', quote_literal(p_name)),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    end if;
end
$$;
--;
comment on function recovery._check_name(text) is 'Refuses a server name that cannot work: RC004.';
--;
revoke all on function recovery._check_name(text) from public;
--;
-- sql/server/_heir_of.sql
create or replace function recovery._heir_of(p_epoch bigint)
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select h.epoch
    from recovery.server as s
    join recovery.server as h on h.epoch = s.heir and h.ended is null and h.pending is null
    where s.epoch = p_epoch
$$;
--;
comment on function recovery._heir_of(bigint) is
    'The live epoch to which an ended one left its work, else null: then its rows are orphans.';
--;
revoke all on function recovery._heir_of(bigint) from public;
--;
-- sql/server/_held_keeper_locks.sql
create or replace function recovery._held_keeper_locks()
returns table (epoch bigint, held boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.epoch, s.epoch in (select l.epoch from recovery.keeper_lock as l)
    from recovery.server as s
    where s.ended is null and s.keeper
$$;
--;
comment on function recovery._held_keeper_locks() is
    'For each server with a keeper, whether its session advisory lock (-epoch) is held.';
--;
revoke all on function recovery._held_keeper_locks() from public;
--;
-- sql/server/_is_sibling.sql
create or replace function recovery._is_sibling(
    p_server recovery.server, p_host text, p_pid integer, p_process_start timestamptz
)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    -- On our own host somebody has just looked at its process; not if it is our own, which may serve one name after
    -- another. Elsewhere the lock of its keeper speaks, which goes with the connection; through a pooler only the lease
    -- does. All locks went when the database restarted or failed over: who has not beaten since may be about to, and
    -- the lease speaks.
    select (p_server.keeper or p_server.beat is not null) and p_server.pending is null and p_server.process_dead is null
       and (p_server.host = p_host and p_server.process_seen > recovery._now() - interval '10 seconds'
                and (p_server.pid, p_server.process_start) is distinct from (p_pid, p_process_start)
            or p_server.heartbeat + p_server.lease >= recovery._now()
                and (not p_server.keeper
                     or exists (select from recovery.keeper_lock as l where l.epoch = p_server.epoch)
                     or p_server.heartbeat <= pg_postmaster_start_time() + (select c.shift from recovery.clock as c)
                     or exists (select from recovery.observation as o
                                where o.timeline <> recovery.timeline()
                                   or o.because = 'the database failed over' and p_server.heartbeat <= o.since)))
$$;
--;
comment on function recovery._is_sibling(recovery.server, text, integer, timestamptz) is
    'Whether a holder of the name is shown to be alive to a process that boots (host, pid, start): it has a keeper, '
    'and on the same host its process lives; elsewhere the lease has not run out and its keeper''s lock is held now, '
    'or went with a restart or failover of the database since its last heartbeat. A boot leaves it alone.';
--;
revoke all on function recovery._is_sibling(recovery.server, text, integer, timestamptz) from public;
--;
-- sql/server/_renew_lease.sql
create or replace function recovery._renew_lease(p_epoch bigint, p_token uuid)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    update recovery.server as s set heartbeat = recovery._now()
    where s.epoch = p_epoch and s.token = p_token and s.ended is null and s.pending is null
$$;
--;
comment on function recovery._renew_lease(bigint, uuid) is
    'A heartbeat that says nothing if the epoch has ended: a boot that was superseded while it closes goes on closing.';
--;
revoke all on function recovery._renew_lease(bigint, uuid) from public;
--;
-- sql/server/drain.sql
create or replace function recovery.drain(p_epoch bigint, p_token uuid, p_limit interval)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz := recovery._now() + p_limit;
begin
    if p_limit is null or p_limit <= interval '0' or p_limit > interval '7 days' then
        perform recovery._fail('RC010', format('drain limit %s is not allowed', coalesce(p_limit::text, 'null')),
            'Give an interval up to 7 days.');
    end if;
    perform recovery.heartbeat(p_epoch, p_token);
    update recovery.server as s set drain_until = v_until where s.epoch = p_epoch and s.ended is null;
    return v_until;
end
$$;
--;
comment on function recovery.drain(bigint, uuid, interval) is
    'From now on the epoch opens no new work (RC011); what it owns stays its own until it is done or the limit is '
    'over, and a new boot of the name does not supersede it. Errors as recovery.heartbeat.';
--;
revoke all on function recovery.drain(bigint, uuid, interval) from public;
--;
-- sql/server/evict.sql
create or replace function recovery.evict(p_server text, p_terminate boolean default false)
returns bigint[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch   bigint;
    v_evicted bigint[] := '{}';
    v_held    bigint;
begin
    for v_epoch in
        select s.epoch from recovery.server as s
        where s.ended is null and (s.name = p_server or s.epoch::text = p_server) order by s.epoch
    loop
        if p_terminate then
            -- Its sessions: who holds the epoch's locks, or says its name.
            perform pg_terminate_backend(x.pid)
            from (select l.pid from pg_locks as l
                  where l.locktype = 'advisory' and l.objsubid = 1
                    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
                    and ((l.classid::bigint << 32) | l.objid::bigint) in (v_epoch, -v_epoch)
                  union
                  select a.pid from pg_stat_activity as a
                  where a.datname = current_database() and a.application_name like '%#' || v_epoch) as x
            where x.pid <> pg_backend_pid();
        end if;
        if recovery._end_epoch(v_epoch, 'evicted', interval '2 seconds')
            or exists (select from recovery.server as s where s.epoch = v_epoch and s.pending is not null)
        then
            v_evicted := v_evicted || v_epoch;
        else
            v_held := v_epoch;
        end if;
    end loop;
    if v_evicted = '{}' and v_held is not null then
        perform recovery._fail('55P03',
            format('epoch %s is not evicted: another transaction holds its row of recovery.server', v_held),
            'See pg_locks for the transaction, or pg_prepared_xacts; end it and evict again.');
    elsif v_evicted = '{}' then
        perform recovery._fail('RC002',
            format('no live server is called %s', coalesce(quote_literal(p_server), 'null')),
            'Give a name or an epoch from recovery.server_status.');
    end if;
    return v_evicted;
end
$$;
--;
comment on function recovery.evict(text, boolean) is
    'An operator ends a server by name or epoch; the next sweep closes its work. With p_terminate its sessions are '
    'cut too (needs pg_signal_backend). RC002 if none is live.';
--;
revoke all on function recovery.evict(text, boolean) from public;
--;
-- sql/server/heartbeat.sql
create or replace function recovery.heartbeat(p_epoch bigint, p_token uuid)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz;
    v_name  text;
begin
    update recovery.server as s
    set heartbeat = recovery._now(), suspected = null
    where s.epoch = p_epoch and s.token = p_token and s.ended is null and s.pending is null
    returning s.heartbeat + s.lease into v_until;
    if not found then
        select s.name into v_name from recovery.server as s
        where s.epoch = p_epoch and s.ended is null and s.token is distinct from p_token;
        if found then
            perform recovery._fail('RC003',
                format('epoch %s belongs to another boot of server "%s": the token does not match', p_epoch, v_name),
                'After a failover an epoch may have been issued again; boot again to get a new one.');
        end if;
        perform recovery.assert_live(p_epoch);
    end if;
    perform recovery._announce_silent();
    return v_until;
end
$$;
--;
comment on function recovery.heartbeat(bigint, uuid) is
    'Extends the lease and returns until when it holds. RC001: the epoch has ended, the caller must stop; RC002: '
    'unknown; RC003: foreign token.';
--;
revoke all on function recovery.heartbeat(bigint, uuid) from public;
--;
-- sql/server/keeper_heartbeat.sql
create or replace function recovery.keeper_heartbeat(
    p_epoch bigint, p_token uuid, p_every interval default null, p_direct boolean default true
)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until timestamptz;
    v_held  boolean;
begin
    if p_every is not null then
        perform recovery._check_interval('beat', p_every, interval '1 millisecond', interval '1 day');
    end if;
    v_until := recovery.heartbeat(p_epoch, p_token);
    -- Held until this session ends. A former connection of the keeper may not be gone yet: the next call tries again.
    v_held := p_direct and (
        exists (select from recovery.keeper_lock as l where l.epoch = p_epoch and l.pid = pg_backend_pid())
                            or pg_try_advisory_lock(-p_epoch));
    update recovery.server as s set keeper = p_direct and (s.keeper or v_held), beat = p_every
    where s.epoch = p_epoch and s.ended is null
      and (s.keeper, s.beat) is distinct from (p_direct and (s.keeper or v_held), p_every);
    return v_until;
end
$$;
--;
comment on function recovery.keeper_heartbeat(bigint, uuid, interval, boolean) is
    'The heartbeat of a keeper, on a connection of its own: holds the session advisory lock -epoch as well, whose '
    'absence is evidence that the keeper is gone, once the next beat, due p_every after the last, has not come. With '
    'p_direct false, through a pooler, it holds none. Returns and raises what recovery.heartbeat does.';
--;
revoke all on function recovery.keeper_heartbeat(bigint, uuid, interval, boolean) from public;
--;
-- sql/fence/_fence_write.sql
create or replace function recovery._fence_write(p_owner bigint, p_opens boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_writer bigint := recovery._writer_epoch();
begin
    if v_writer is not null and p_opens then
        perform recovery.assert_accepting(v_writer);
    elsif v_writer is not null then
        perform recovery.assert_live(v_writer);
    end if;
    -- Work may not be opened under, or given to, an epoch that has ended.
    if p_owner is distinct from v_writer and p_owner is not null then
        perform recovery.assert_live(p_owner);
    end if;
end
$$;
--;
comment on function recovery._fence_write(bigint, boolean) is
    'The whole fence of a write: its writer is live (and accepts new work, if it opens some), and so is the owner '
    'that it gives the row. RC001, RC002, RC011.';
--;
revoke all on function recovery._fence_write(bigint, boolean) from public;
--;
-- sql/fence/_live_epoch.sql
create or replace function recovery._live_epoch(p_name text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch bigint;
begin
    loop
        select s.epoch into v_epoch from recovery.server as s
        where s.name = p_name and s.ended is null and s.pending is null
        order by s.epoch desc limit 1;
        if not found then
            return null;
        end if;
        -- As in recovery.assert_live: who ends it waits for us from here on, and the second read is younger than the
        -- lock. If it ended while we waited, the name is looked up again.
        perform pg_advisory_xact_lock_shared(v_epoch);
        perform from recovery.server as s where s.epoch = v_epoch and s.ended is null and s.pending is null;
        if found then
            return v_epoch;
        end if;
    end loop;
end
$$;
--;
comment on function recovery._live_epoch(text) is
    'The newest live epoch of a server name, null if there is none: who owns work that a session writes for that '
    'server. It does not end before the transaction does (whoever ends it waits, with a bound).';
--;
revoke all on function recovery._live_epoch(text) from public;
--;
-- sql/fence/_refuse_late_result.sql
create or replace function recovery._refuse_late_result(p_old bigint, p_new bigint, p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if recovery._writer_epoch() = -p_old and p_new is distinct from -p_old then
        perform recovery._fail('RC013',
            format('the work in %s was taken from epoch %s: it was closed meanwhile', p_table,
            recovery._writer_epoch()),
            'recovery.event says why. To take it up again, write server_epoch too.');
    end if;
end
$$;
--;
comment on function recovery._refuse_late_result(bigint, bigint, regclass) is
    'Refuses the late result of a live server whose row a timeout or an operator has closed under it (the sign of '
    'server_epoch); p_new: the epoch that the write opens it under, null if it does not: RC013.';
--;
revoke all on function recovery._refuse_late_result(bigint, bigint, regclass) from public;
--;
-- sql/fence/_writer_epoch.sql
create or replace function recovery._writer_epoch()
returns bigint
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select nullif(current_setting('recovery.server_epoch', true), '')::bigint
$$;
--;
comment on function recovery._writer_epoch() is
    'Epoch of the server that writes, from the setting recovery.server_epoch; null: not a server.';
--;
revoke all on function recovery._writer_epoch() from public;
--;
-- sql/fence/assert_accepting.sql
create or replace function recovery.assert_accepting(p_epoch bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
begin
    perform recovery.assert_live(p_epoch);
    select s.name into v_name from recovery.server as s where s.epoch = p_epoch and s.drain_until is not null;
    if found then
        perform recovery._fail('RC011',
            format('epoch %s of server "%s" is draining: it opens no new work', p_epoch, v_name),
            'Send new work to another server.');
    end if;
end
$$;
--;
comment on function recovery.assert_accepting(bigint) is
    'As recovery.assert_live, and RC011 if the server is draining: may it open new work?';
--;
revoke all on function recovery.assert_accepting(bigint) from public;
--;
-- sql/fence/assert_live.sql
create or replace function recovery.assert_live(p_epoch bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_server record;
    v_found  boolean;
begin
    if p_epoch is null then
        perform recovery._fail('RC002', 'no epoch was given', 'Boot first: call recovery.boot(name).');
    end if;
    -- The lock and the read are two statements on purpose: the read needs a snapshot that is younger
    -- than the lock, else an epoch that ended while we waited would look alive.
    perform pg_advisory_xact_lock_shared(p_epoch);
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
       and current_setting('transaction_read_only') = 'off' then
        -- The snapshot may be older than the lock: reading FOR KEY SHARE fails with 40001 when the
        -- epoch has ended since (ending is a key update), and not on a mere heartbeat. What it locks is let go
        -- at once, or an idle or prepared transaction would hold up the end, and with it all other rows of the epoch.
        begin
            select s.name, coalesce(s.ended, case when s.pending is not null then clock_timestamp() end) as ended,
                   coalesce(s.reason, s.pending) as reason into v_server
            from recovery.server as s where s.epoch = p_epoch for key share;
            v_found := found;
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            null;
        end;
    else
        select s.name, coalesce(s.ended, case when s.pending is not null then clock_timestamp() end) as ended,
               coalesce(s.reason, s.pending) as reason into v_server
        from recovery.server as s where s.epoch = p_epoch;
        v_found := found;
    end if;
    if not v_found then
        perform recovery._fail('RC002', format('epoch %s is unknown: no server booted with it', p_epoch),
            'recovery.server_epoch must hold the epoch that recovery.boot returned.');
    elsif v_server.ended is not null then
        perform recovery._fail('RC001',
            format('epoch %s of server "%s" ended at %s (%s): it may no longer write', p_epoch, v_server.name,
                   to_char(v_server.ended at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), v_server.reason),
            'This process was declared dead or replaced; stop its work and boot again.');
    end if;
end
$$;
--;
comment on function recovery.assert_live(bigint) is
    'The fence: raises RC001 if the epoch has ended, RC002 if it never was; until the transaction ends whoever ends '
    'the epoch waits for it, with a bound.';
--;
revoke all on function recovery.assert_live(bigint) from public;
--;
-- sql/death/_end_dead_servers.sql
create or replace function recovery._end_dead_servers(p_lock_wait interval)
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_dead  record;
    v_ended bigint[] := '{}';
    v_until timestamptz := recovery._call_deadline();
begin
    perform recovery._observe_servers();
    for v_dead in select v.epoch, v.reason from recovery.judgement as v where v.dead order by v.epoch loop
        exit when clock_timestamp() > v_until;  -- those that are left are the next sweep's
        if recovery._end_epoch(v_dead.epoch, v_dead.reason, p_lock_wait, true) then
            v_ended := v_ended || v_dead.epoch;
        end if;
    end loop;
    perform recovery._end_lost_epochs();
    return v_ended;
end
$$;
--;
comment on function recovery._end_dead_servers(interval) is
    'Ends the servers that recovery.judgement holds for dead; their epochs.';
--;
revoke all on function recovery._end_dead_servers(interval) from public;
--;
-- sql/death/_end_epoch.sql
create or replace function recovery._end_epoch(
    p_epoch bigint, p_reason text, p_lock_wait interval, p_dead_only boolean default false
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Writers hold their epoch's lock shared until they commit: with the exclusive lock in hand all they
    -- opened is visible to the statements that follow, and whoever comes later reads that it ended. A
    -- transaction that keeps us waiting longer than the bound is left to the sweep.
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    begin
        perform pg_advisory_xact_lock(p_epoch);
    exception when lock_not_available or deadlock_detected then
        null;
    end;
    begin
        -- A heartbeat that is just committing is waited for, and the judgement is read after it.
        perform from recovery.server as s where s.epoch = p_epoch and s.ended is null for no key update;
        if p_dead_only and not exists (select from recovery.judgement as v where v.epoch = p_epoch and v.dead) then
            return false;
        end if;
        update recovery.server as s set pending = coalesce(s.pending, p_reason)
        where s.epoch = p_epoch and s.ended is null;
    exception when lock_not_available or deadlock_detected then
        return false;
    end;
    begin
        update recovery.server as s
        set ended = clock_timestamp(), reason = coalesce(s.pending, p_reason)
        where s.epoch = p_epoch and s.ended is null;
        return found;
    exception when lock_not_available or deadlock_detected then
        -- Somebody holds the row's key, as a foreign key does: it may not write any more, and the next sweep tries
        -- again.
        return false;
    end;
end
$$;
--;
comment on function recovery._end_epoch(bigint, text, interval, boolean) is
    'Ends one epoch under its exclusive lock, waiting at most p_lock_wait for transactions in flight. With '
    'p_dead_only only if recovery.judgement still holds it for dead, read under the lock. True if it ended now.';
--;
revoke all on function recovery._end_epoch(bigint, text, interval, boolean) from public;
--;
-- sql/death/_end_lost_epochs.sql
create or replace function recovery._end_lost_epochs()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  record;
    v_epochs bigint[];
begin
    for v_watch in select w.name from recovery._attached_watches() as w where not recovery._is_replicated(w.family) loop
        begin
            v_epochs := recovery._open_epochs(v_watch.name);
        exception when others then
            continue;  -- recovery._orphaned_epochs notes it
        end;
        -- A second statement: a server that booted after we looked at its rows is there by now. An epoch
        -- that is not was lost (a failover, a restored backup): its server cannot beat, so it is not alive.
        insert into recovery.server (epoch, name, lease, grace, ended, reason)
        select e.epoch, 'lost epoch', interval '1 second', interval '1 second', clock_timestamp(), 'epoch_lost'
        from unnest(v_epochs) as e (epoch)
        where e.epoch > 0 and not exists (select from recovery.server as s where s.epoch = e.epoch)
        on conflict (epoch) do nothing;
    end loop;
end
$$;
--;
comment on function recovery._end_lost_epochs() is
    'Books epochs that own open rows but are not in recovery.server (lost in a failover or restore) as ended, so that '
    'their rows close. Not those in tables that a subscription writes: they are the publisher''s.';
--;
revoke all on function recovery._end_lost_epochs() from public;
--;
-- sql/death/_look_at_rows.sql
create or replace function recovery._look_at_rows()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- Sequential scans are off: the partial index holds the open rows, and an estimate must not turn that into a scan of
-- the table for each look.
declare
    v_watch   recovery.watch;
    v_seen    recovery.look;
    v_task    recovery.task;
    v_found   jsonb;
    v_now     timestamptz;
    v_gap     interval;
    v_half    interval;
    v_because text;
    v_dead    bigint;
    v_most    bigint;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.alive is not null and not recovery._is_replicated(w.family) order by w.id
    loop
        insert into recovery.look (watch) values (v_watch.name) on conflict do nothing;
        select k.* into v_seen from recovery.look as k where k.watch = v_watch.name for update skip locked;
        continue when not found;  -- another sweeper is at it
        v_now := recovery._now();
        v_task.at := v_now;
        begin
            select f.* into v_found
            from recovery._run_as_owner(v_watch.runner, recovery._look_sql(v_watch), v_task) as f;
        exception when others then
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
            continue;  -- and what comes of that is a break in looking
        end;
        -- Who looks seldom and regularly is not asleep; any longer time is one in which nobody could beat.
        v_gap := v_now - v_seen.at;
        v_half := v_watch.alive_lease / 2;
        v_because := case
            when v_seen.at is null then 'first look'
            when v_seen.timeline is distinct from recovery.timeline() then 'the database failed over'
            when v_seen.postmaster is distinct from pg_postmaster_start_time() then 'the database restarted'
            when v_gap > greatest(v_half, v_seen.gap * 1.5)
                then format('no look for %s', date_trunc('second', v_gap))
            when v_gap < interval '0' then 'the clock went back'
        end;
        delete from recovery.lifeless as l
        where l.watch = v_watch.name and not exists (
            select from jsonb_to_recordset(v_found -> 'dead') as d (key text, run text)
            where d.key = l.key and d.run = l.run);
        -- Looks that are further apart than half a lease may have a stall between them that no gap shows: it takes
        -- one more of them.
        insert into recovery.lifeless (watch, key, group_key, run, since)
        select v_watch.name, d.key, d.group_key, d.run,
               case when v_because is null and v_gap > v_half then v_now + v_gap else v_now end
        from jsonb_to_recordset(v_found -> 'dead') as d (key text, group_key text, run text)
        on conflict do nothing;
        v_dead := jsonb_array_length(v_found -> 'dead');
        v_most := (v_dead + (v_found ->> 'alive')::bigint) / 2 + 1;
        update recovery.look as k
        set postmaster = pg_postmaster_start_time(),
            timeline = recovery.timeline(),
            since = case when v_because is null then v_seen.since else v_now end,
            because = coalesce(v_because, v_seen.because),
            at = v_now,
            -- Grows in steps, so that one long sleep is not what is usual from then on.
            gap = case when v_because is null then greatest(v_gap, v_seen.gap * 0.7)
                       when v_gap > interval '0' then least(v_gap, greatest(v_seen.gap, v_half) * 4) end,
            mass_since = case when v_dead >= greatest(v_most, 2) then (
                select l.since from recovery.lifeless as l where l.watch = v_watch.name
                order by l.since offset greatest(v_most, 2) - 1 limit 1) end
        where k.watch = v_watch.name;
    end loop;
end
$$;
--;
comment on function recovery._look_at_rows() is
    'Part of a sweep: notes the open rows for which the alive of their watch is false, forgets those for which it is '
    'not any more, and whether looking had a break (restart, failover, silence of the sweepers) or most rows look '
    'dead at once. recovery.lifeless_state reads it.';
--;
revoke all on function recovery._look_at_rows() from public;
--;
-- sql/death/_look_sql.sql
create or replace function recovery._look_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The expression is evaluated once a row, and only for open ones: OFFSET keeps it from being pulled up.
    select recovery._render_sql($sql$
        select jsonb_build_object(
            'alive', count(*) filter (where a.alive),
            'dead', coalesce(jsonb_agg(jsonb_build_object('key', {key}, 'group_key', {group}, 'run', {run}))
                filter (where not a.alive), '[]'))
        from {relation} as r
        cross join lateral (select ({alive}) as alive offset 0) as a
        where ({open}){meant}{grace}
        $sql$, jsonb_build_object(
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'run', format('concat_ws(%L, r.server_epoch, %s, (%s)::text)', ' ',
            coalesce('date_part(''epoch'', (' || p_watch.started || '))', 'null'), coalesce(p_watch.owner, 'null')),
        'relation', p_watch.relation,
        'alive', p_watch.alive,
        'open', p_watch.open,
        'meant', coalesce(' and (' || p_watch.only_if || ')', ''),
        'grace', case when p_watch.launch_grace is null then ''
            else format(' and ((%s) >= ($1).at - %L::interval) is not true', p_watch.started, p_watch.launch_grace)
            end))
$$;
--;
comment on function recovery._look_sql(recovery.watch) is
    'The search for the open rows of a watch for which alive is false, with how many it is true for.';
--;
revoke all on function recovery._look_sql(recovery.watch) from public;
--;
-- sql/death/_next_death.sql
create or replace function recovery._next_death()
returns numeric
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select round(extract(epoch from greatest(min(j.sure_at), recovery._now()) - recovery._now()), 3)
    from recovery.judgement as j having min(j.sure_at) is not null
$$;
--;
comment on function recovery._next_death() is
    'In how many seconds a sweep could end the next server, without a sign of life before; null: nothing speaks for '
    'the death of any.';
--;
revoke all on function recovery._next_death() from public;
--;
-- sql/death/_observe_servers.sql
create or replace function recovery._observe_servers()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now     timestamptz := recovery._now();
    v_seen    recovery.observation;
    v_because text;
    v_last    timestamptz;
    v_gap     interval;
    v_widest  interval;
    v_live    bigint;
    v_quiet   bigint;
begin
    select o.* into v_seen from recovery.observation as o for update skip locked;
    if not found then
        return;  -- another sweeper is at it
    end if;
    v_last := greatest(v_seen.swept, v_seen.asked);
    v_gap := v_now - v_last;
    v_widest := greatest(v_gap, v_seen.asked_gap);  -- who asked as a stalled database came back hides no stall
    v_because := case
        when v_seen.since is null then 'first sweep'
        when v_seen.timeline is distinct from recovery.timeline() then 'the database failed over'
        when v_seen.postmaster is distinct from pg_postmaster_start_time() then 'the database restarted'
        when v_gap > recovery._patience(v_seen.gap) then format('no sweep for %s', date_trunc('second', v_gap))
        when v_gap < interval '0' then 'the clock went back'
    end;
    -- Whoever holds the row of a server holds up its case, and nobody else's.
    update recovery.server as s set suspected = n.suspected, looked_at = n.looked_at, looked_beat = n.looked_beat
    from (
        select s.epoch,
               case when k.held then null
                   else coalesce(s.suspected, case when k.held is not null then v_now end) end as suspected,
               -- As long as sweeps come oftener than its beats the database has answered all the while.
               case when not l.late then s.looked_at when v_because is null and v_widest <= e.late_since - s.heartbeat
                   then v_last else v_now end as looked_at,
               case when l.late then s.heartbeat else s.looked_beat end as looked_beat
        from recovery.server as s
        join recovery.evidence as e on e.epoch = s.epoch
        left join recovery._held_keeper_locks() as k on k.epoch = s.epoch
        cross join lateral (select e.late_since < v_now and s.looked_beat is distinct from s.heartbeat as late) as l
        where s.ended is null and (l.late or k.held = (s.suspected is not null))
        order by s.epoch for no key update of s skip locked
    ) as n
    where s.epoch = n.epoch;
    -- The same for fuses: late is one that was not extended when a third of its ttl was over. Looks that are further
    -- apart than half its ttl may have a stall between them that no gap shows: it takes one more of them. One that came
    -- late itself begins anew.
    update recovery.fuse as f set looked_at = n.looked_at
    from (
        select f.id, case
            when v_seen.swept is null or v_because is null and v_widest <= d.extended then '-infinity'
            when v_because is null and f.looked_at is null and v_widest > f.ttl / 2 and v_widest <= v_seen.gap * 1.5
                then v_now + v_widest
            else v_now end as looked_at
        from recovery.fuse as f
        cross join lateral (select f.ttl / 3 + least(interval '1 second', f.ttl / 12) as extended) as d
        where f.expires - f.ttl + d.extended < v_now
          and (f.looked_at is null or v_widest > greatest(f.ttl / 2, v_seen.gap * 1.5))
        order by f.id for no key update of f skip locked
    ) as n
    where f.id = n.id;
    select count(*), count(*) filter (where e.quiet) into v_live, v_quiet from recovery.evidence as e;
    update recovery.observation as o
    set postmaster = pg_postmaster_start_time(),
        timeline = recovery.timeline(),
        since = case when v_because is null then v_seen.since else v_now end,
        because = coalesce(v_because, v_seen.because),
        gap = case when v_because is null or v_gap > interval '0' then v_gap end,
        swept = v_now,
        asked_gap = null,
        mass_since = case when v_quiet >= 2 and v_quiet * 2 > v_live then coalesce(v_seen.mass_since, v_now) end;
end
$$;
--;
comment on function recovery._observe_servers() is
    'First step of a sweep: notes who lost its keeper connection or is late with a beat, which fuses are late, and '
    'whether watching had a break (restart, failover, silence of the sweepers) or most servers look dead at once. '
    'recovery.judgement reads it.';
--;
revoke all on function recovery._observe_servers() from public;
--;
-- sql/death/_patience.sql
create or replace function recovery._patience(p_gap interval)
returns interval
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Half a lease is enough for servers to look dead that only slept as we did; but who sweeps seldom and regularly is
    -- not asleep, hence twice the usual gap.
    select greatest(min(s.lease) / 2, least(p_gap, interval '10 minutes') * 2 + interval '1 second')
    from recovery.server as s where s.ended is null
$$;
--;
comment on function recovery._patience(interval) is
    'How long nobody may look, where p_gap is usual, until that counts as a break in watching; null: no server lives.';
--;
revoke all on function recovery._patience(interval) from public;
--;
-- sql/death/claim_sweep.sql
create or replace function recovery.claim_sweep(
    p_epoch bigint, p_token uuid, p_every interval, out o_wait interval, out o_look boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now  timestamptz := recovery._now();
    v_seen recovery.observation;
    v_free timestamptz := '-infinity';
begin
    perform recovery._check_interval('sweep interval', p_every, interval '1 millisecond', interval '366 days');
    select coalesce(s.process_seen < v_now - p_every * 0.9, true) into o_look
    from recovery.server as s where s.epoch = p_epoch and s.token = p_token and s.ended is null;
    if not found then
        perform recovery.heartbeat(p_epoch, p_token);  -- says why
    end if;
    o_wait := p_every;
    select o.* into v_seen from recovery.observation as o for update skip locked;
    if not found then
        return;  -- somebody sweeps at this moment
    end if;
    if v_seen.sweeper <> p_epoch and v_seen.sweeper_every * 0.9 <= p_every then
        -- Its lock goes with its connection: tried, not looked up, as every process asks. Through a pooler there is
        -- none.
        select v_seen.swept + v_seen.sweeper_every * 1.25 into v_free
        from recovery.server as s
        where s.epoch = v_seen.sweeper and s.ended is null and s.pending is null and s.process_dead is null
          and (not s.keeper or not pg_try_advisory_xact_lock_shared(-s.epoch));
    end if;
    if v_free > v_now and v_seen.swept <= v_now then
        o_wait := least(v_free - v_now, p_every);
        -- Who stands by watches, too. After a break nobody says so: the next sweep is to notice it.
        if v_now - greatest(v_seen.swept, v_seen.asked) between interval '0' and recovery._patience(v_seen.gap) then
            update recovery.observation as o
            set asked = v_now, asked_gap = greatest(v_seen.asked_gap, v_now - greatest(v_seen.swept, v_seen.asked));
        end if;
        return;
    end if;
    if (v_seen.sweeper, v_seen.sweeper_every) is distinct from (p_epoch, p_every) then
        update recovery.observation as o set sweeper = p_epoch, sweeper_every = p_every;
    end if;
    o_wait := interval '0';
end
$$;
--;
comment on function recovery.claim_sweep(bigint, uuid, interval) is
    'Whether a server is to sweep now (o_wait 0), or who does so lives and it asks again after o_wait: one process '
    'sweeps for all, another takes over when that one is gone or late by a quarter of its interval. o_look: nobody '
    'has looked at the processes of its host lately. Errors as recovery.heartbeat; RC010.';
--;
revoke all on function recovery.claim_sweep(bigint, uuid, interval) from public;
--;
-- sql/closing/_adopt_named.sql
create or replace function recovery._adopt_named(p_detector text, p_name text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- By the partial index: every sweep asks.
declare
    v_watch   recovery.watch;
    v_task    recovery.task;
    v_names   jsonb;
    v_name    text;
    v_adopted jsonb;
    v_from    bigint;
    v_result  jsonb := '{}';
begin
    perform recovery._check_fresh();
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.owner is not null and not recovery._is_replicated(w.family) order by w.family, w.position, w.name
    loop
        begin
            select n.* into v_names from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(array_agg(distinct ({owner}))) from {relation} as r'
                ' where r.server_epoch is null and ({open}) and ({owner}) is not null',
                jsonb_build_object('owner', v_watch.owner, 'relation', v_watch.relation, 'open', v_watch.open))) as n;
            for v_name in
                select u.name from unnest(recovery._to_texts(v_names)) as u (name)
                where p_name is null or u.name = p_name order by 1
            loop
                v_task.heir := recovery._live_epoch(v_name);
                continue when v_task.heir is null;
                v_task.key := v_name;
                v_task.reason := 'adopted';
                v_task.detector := p_detector;
                v_task.at := recovery._now();
                v_task.written := clock_timestamp();
                v_task.path := v_watch.path;
                v_from := coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0) + 1;
                -- Rows that somebody has locked are the next sweep's.
                select a.* into v_adopted from recovery._run_as_owner(v_watch.runner, recovery._close_sql(
                    v_watch.family, 'range', 'named', 'ignore', true, false, true, v_watch.name), v_task, 'write') as a;
                if v_adopted <> '{}' then
                    perform recovery._announce_events(v_from, currval('recovery.outbox_id_seq') + 99);
                    v_result := recovery._add_counts(v_result, v_adopted);
                end if;
            end loop;
        exception when others then
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
    return v_result;
end
$$;
--;
comment on function recovery._adopt_named(text, text) is
    'Gives open rows without an owner to the live server that they name (or only to that of one name): a worker that '
    'boots after its work was written. Counts per watch.';
--;
revoke all on function recovery._adopt_named(text, text) from public;
--;
-- sql/closing/_check_fresh.sql
create or replace function recovery._check_fresh()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A closing fires deferred triggers, so that none runs at commit. Those that our caller has queued before would be
    -- fired too early, and up to PostgreSQL 17 as the runner, whoever owns them.
    if pg_current_xact_id_if_assigned() is not null then
        perform recovery._fail('RC010',
            'rows are closed in a transaction of their own, and this one has written already', 'Commit first.');
    end if;
end
$$;
--;
comment on function recovery._check_fresh() is 'Refuses to close rows in a transaction that has written before: RC010.';
--;
revoke all on function recovery._check_fresh() from public;
--;
-- sql/closing/_closable_sql.sql
create or replace function recovery._closable_sql(
    p_watch recovery.watch, p_owner text, p_guard text, p_only boolean default true
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(E'\n      and ',
        case
            when p_owner = 'epoch' then 'r.server_epoch = ($1).epoch'
            when p_owner = 'none' then 'r.server_epoch is null and ($1).epoch is null and '
                || case when p_watch.unowned is null then 'false'
                        else format('(%s) < ($1).at - %L::interval', p_watch.started, p_watch.unowned) end
            when p_owner = 'named' then 'r.server_epoch is null and '
                || coalesce(format('(%s) = ($1).key', p_watch.owner), 'false')
            when p_owner in ('any', 'lifeless') then
                '($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)' end,
        format('(%s)', p_watch.open),
        case when p_owner = 'lifeless' then case when p_watch.alive is null then 'false' else recovery._render_sql(
            '($1).key = {watch!l} and {key} = any(($1).marked)',
            jsonb_build_object('watch', p_watch.name, 'key', recovery._key_text(p_watch.key_columns, 'r'))) end end,
        case when p_only and p_watch.only_if is not null then format('(%s)', p_watch.only_if) end,
        case when p_watch.launch_grace is not null and p_owner not in ('any', 'named') and p_guard <> 'with'
            then format('((%s) >= ($1).at - %L::interval) is not true', p_watch.started, p_watch.launch_grace) end,
        case when p_watch.owner is not null then case p_owner
            when 'epoch' then recovery._no_sibling_sql(p_watch)
            when 'none' then format('not (%s)', recovery._is_named_sql(p_watch)) end end,
        case p_guard
            when 'with' then format('(%s)', concat_ws(' or ', recovery._guard_sql(p_watch),
                case when p_owner = 'epoch' then recovery._life_sql(p_watch, 'guards') end))
            when 'without' then format('not (%s)', concat_ws(' or ', recovery._guard_sql(p_watch),
                case p_owner when 'epoch' then recovery._life_sql(p_watch, 'spares')
                             when 'none' then recovery._life_sql(p_watch, 'spares') end)) end,
        case p_owner
            when 'any' then recovery._life_sql(p_watch, 'agrees')
            when 'lifeless' then recovery._life_sql(p_watch, 'dead') end)
$$;
--;
comment on function recovery._closable_sql(recovery.watch, text, text, boolean) is
    'The condition for a row to close: open, meant by the watch, owned by the task''s epoch (or by none; or by any of '
    'its epochs; lifeless: and among those that alive was found false for, and still is; named: by none, for the '
    'server whose name is the task''s key), not too young; p_guard: ignore fuses and signs of life, only rows '
    'without, or only those with an active one; p_only false: also rows that the watch does not mean. The open '
    'predicate stands literally, so that the partial index serves it.';
--;
revoke all on function recovery._closable_sql(recovery.watch, text, text, boolean) from public;
--;
-- sql/closing/_close_batch.sql
create or replace function recovery._close_batch(
    p_family text, p_epoch bigint, p_guard text, p_after text[], p_limit integer, p_detector text,
    p_lock_wait interval, p_careful boolean, p_heir bigint default null,
    out o_closed jsonb, out o_failed jsonb, out o_after text[], out o_done boolean, out o_careful boolean,
    out o_stopped boolean,
    out o_limit integer
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reason text := 'unowned';
    v_owner  text := case when p_epoch is null then 'none' else 'epoch' end;
    v_groups text[];
    v_last   text;
    v_bound  text[];
    v_batch  record;
    v_family boolean;
begin
    perform recovery._check_fresh();
    o_stopped := false;
    o_limit := p_limit;
    if recovery._is_elsewhere(p_family, p_epoch) then
        o_closed := '{}';
        o_failed := '{}';
        o_done := true;
        return;
    end if;
    if p_epoch is not null then
        -- A transaction that holds up the end holds up no other row.
        select coalesce(s.reason, s.pending) into v_reason from recovery.server as s
        where s.epoch = p_epoch and (s.ended is not null or s.pending is not null);
        if not found then
            perform recovery._fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch),
                'Only rows of ended epochs are closed.');
        end if;
    end if;
    begin
        v_family := exists (select from recovery._attached_watches() as w where w.family = p_family
            and w.group_by is not null);
        if v_family then
            select n.o_groups, n.o_last into v_groups, v_last
            from recovery._next_groups(p_family, p_epoch, p_guard, p_after[1], p_limit) as n;
        else
            v_bound := recovery._next_key(p_family, p_epoch, p_after, p_limit);
        end if;
        select s.* into v_batch from recovery._close_selection(p_family, v_owner, p_epoch, p_guard, v_groups, null,
            case when v_family then null else p_after end, v_bound, p_limit,
            case when p_heir is null then v_reason else 'adopted' end, p_detector, p_lock_wait, p_careful, p_heir) as s;
        o_closed := v_batch.o_closed;
        o_failed := v_batch.o_failed;
        o_careful := v_batch.o_careful;
        if v_batch.o_split then
            o_after := p_after;
            o_done := false;
            o_limit := p_limit / 8;
            return;
        end if;
        o_limit := least(p_limit * 2, 100000);
        -- After the last group come the rows without one, from the start each time: what was closed is gone.
        o_after := case when v_groups is not null then array[v_last] when v_family then p_after else v_bound end;
        o_done := case when v_groups is not null then false
                       when v_family then o_closed = '{}'
                       else v_bound is null end;
    exception when query_canceled then
        -- statement_timeout, which counts once a call, or an operator: what is closed stays so, the rest is the
        -- sweep's.
        raise notice 'recovery: stopped (%)', sqlerrm;
        o_closed := '{}';
        o_failed := '{}';
        o_careful := p_careful;
        o_done := true;
        o_stopped := true;
    when others then
        -- Not one row, which close_rows would have found, but the watch: its table, its runner, an expression.
        perform recovery._note_broken_watch(
            (select min(w.name) from recovery._attached_watches() as w where w.family = p_family), sqlstate, sqlerrm);
        o_closed := '{}';
        o_failed := '{}';
        o_done := true;
    end;
end
$$;
--;
comment on function recovery._close_batch(text, bigint, text, text[], integer, text, interval, boolean, bigint) is
    'Closes the next batch of an ended epoch in one family (epoch null: rows that no server owns), or gives it to '
    'p_heir. Returns the counts per watch, where to go on, whether to skip locked rows from here on, whether it was '
    'stopped, and how many rows the next batch is to have: an eighth if this one failed, so that one bad row does not '
    'make thousands close one by one.';
--;
revoke all on function recovery._close_batch(
    text, bigint, text, text[], integer, text, interval, boolean, bigint
) from public;
--;
-- sql/closing/_close_event_sql.sql
create or replace function recovery._close_event_sql(
    p_watch recovery.watch, p_n integer, p_image jsonb, p_selection text, p_heir boolean, p_records boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_join  constant text := E'\n        cross join ';
    v_plain constant boolean := (p_image -> 'plain')::boolean;
    v_diff  constant boolean := p_watch.diff and not p_heir;
    v_same  constant boolean := (p_image -> 'same')::boolean and not v_diff;
    v_kind  constant text := recovery._close_kind_sql(p_watch, p_heir);
    v_new   constant text := case when p_image ->> 'fixed' is not null then format('(select n.new from n%s as n)', p_n)
                                  when p_records then format('coalesce(a.new, (select f.new from f%s as f))', p_n)
                                  when v_same then format(
                                      'case when %s then f.new else to_jsonb(j.*) end', p_image ->> 'equal')
                                  when v_plain then 'to_jsonb(j.*)'
                                  else 'u.new' end;
    v_old   constant text := case when p_records then format('coalesce(a.old, (select f.old from f%s as f))', p_n)
                                  when v_same then format(
                                      'case when %s then f.old else to_jsonb(i.*) end', p_image ->> 'equal')
                                  when v_plain then 'to_jsonb(i.*)'
                                  else 'u.old' end;
begin
    if p_records then
        return recovery._render_sql($sql$
                select {n} as pos, {watch!l}::text as watch, a.kind, {topic!l}::text as topic, a.owner,
                       case when cardinality(a.keys) = 1 then a.keys[1] end as key,
                       case when cardinality(a.keys) = 1 then a.grps[1] end as grp,
                       {values}, 0 as ord,
                       case when cardinality(a.keys) > 1 then a.keys end as keys,
                       case when cardinality(a.keys) > 1 then a.grps end as grps
                from a{n} as a{difference}
        $sql$, jsonb_build_object('n', p_n, 'watch', p_watch.name, 'topic', p_watch.topic,
            'values', case when v_diff then 'd.old, d.new'
                           else v_old || E' as old,\n               ' || v_new || ' as new' end,
            'difference', case when v_diff
                then format('%slateral recovery._json_difference(%s, %s) as d', v_join, v_old, v_new) else '' end));
    end if;
    return recovery._render_sql($sql$
                select {n} as pos, {watch!l}::text as watch, {kind}::text as kind, {topic!l}::text as topic,
                       u.owner, u.key, u.grp,
                       {values}, {order} as ord, null::text[] as keys, null::text[] as grps
                from u{n} as u{joins}
        $sql$, jsonb_build_object(
        'n', p_n,
        'watch', p_watch.name,
        'kind', v_kind,
        'topic', p_watch.topic,
        'values', case when v_diff then 'd.old, d.new' else v_old || E' as old,\n               ' || v_new
            || ' as new' end,
        'order', case when p_selection = 'groups' then 'row_number() over (order by u.ord)' else '0' end,
        'joins', concat(
            case when v_same then format('%sf%s as f', v_join, p_n) end,
            case when v_plain then format('%slateral (select %s) as i', v_join, p_image ->> 'old') end,
            case when v_plain and p_image ->> 'fixed' is null
                then format('%slateral (select %s) as j', v_join, p_image ->> 'new') end,
            case when v_diff
                then format('%slateral recovery._json_difference(to_jsonb(i.*), %s) as d', v_join, v_new) end)));
end
$$;
--;
comment on function recovery._close_event_sql(recovery.watch, integer, jsonb, text, boolean, boolean) is
    'The part of the statement that closes which lists the events of the rows of the n-th watch: rows that had the '
    'same values, and get the same, a hundred at a time.';
--;
revoke all on function recovery._close_event_sql(recovery.watch, integer, jsonb, text, boolean, boolean) from public;
--;
-- sql/closing/_close_groups_sql.sql
create or replace function recovery._close_groups_sql(
    p_head recovery.watch, p_open text[], out o_ctes text, out o_event text
)
returns record
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* For a family whose groups have events of their own:

   k  rows closed, by group
   o  rows open, by group. A group of which nothing stays open is idle. */
begin
    o_ctes := recovery._render_sql($sql$
        k as (
            select c.grp, min(c.owner) as owner, count(*) as n
            from ({closed}) as c
            group by c.grp
        ),
        o as (
            select jsonb_object_agg(c.grp, c.n) as n
            from (
                select c.grp, sum(c.n) as n
                from (
        {open}
                ) as c
                group by c.grp
            ) as c
        ),
        $sql$, jsonb_build_object(
        'closed', (
            select string_agg(format('select u.owner, u.grp from u%s as u', n), ' union all ' order by n)
            from generate_series(1, cardinality(p_open)) as n),
        'open', array_to_string(p_open, E'\n            union all\n')));
    o_event := recovery._render_sql($sql$
                select 1000000, {watch!l}, t.kind, t.topic, k.owner, k.grp, k.grp,
                       null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
                from k
                cross join lateral (
                    select 'failed' as kind, f.topic, f.n
                    from unnest({failed!l}::text[]) with ordinality as f (topic, n)
                    union all
                    select 'idle', i.topic, 1000 + i.n
                    from unnest({idle!l}::text[]) with ordinality as i (topic, n)
                    where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
        $sql$,
        jsonb_build_object(
            'watch', p_head.name, 'failed', p_head.failed_topics::text, 'idle', p_head.idle_topics::text));
end
$$;
--;
comment on function recovery._close_groups_sql(recovery.watch, text[]) is
    'The parts of the statement that closes which count the rows of each group (for each watch of the family, how many '
    'are open is given) and list the events of the groups.';
--;
revoke all on function recovery._close_groups_sql(recovery.watch, text[]) from public;
--;
-- sql/closing/_close_image.sql
create or replace function recovery._close_image(p_watch recovery.watch, p_heir boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* What a closing changes, before and after, as fragments of SQL:

   plain    columns as they are, o1, o2 and n1, n2, of which the event makes json; else the image of the watch
   fixed    the new values, where they are the same for every row
   same     most rows are closed from the same values, to the same: json is made of the first row's
   before   what is read of the row while it is open
   kept     the same, from v<n>
   after    what is read of the row once it is closed; null: see fixed
   old, new, equal   from u<n>: the columns before and after by their names, and whether they are those of f<n>, to the
                     last bit */
declare
    v_plain constant boolean := (p_watch.spec ->> 'image') is null and not p_heir;
    v_image constant text := case when p_heir then $sql$jsonb_build_object('server_epoch', r.server_epoch)$sql$
                                  else p_watch.image end;
    v_exact constant boolean := coalesce(recovery._compares_exactly(p_watch), false);
    v_fixed text;
    v_list  jsonb;
begin
    if not v_plain then
        return jsonb_build_object('plain', false, 'fixed', null, 'same', false,
            'before', v_image || ' as old', 'kept', 'v.old', 'after', v_image || ' as new');
    end if;
    v_fixed := recovery._fixed_sql(p_watch);
    select jsonb_build_object(
        'before', string_agg(format('r.%I as o%s', s.name, s.n), ', ' order by s.n),
        'kept', string_agg(format('v.o%s', s.n), ', ' order by s.n),
        'after', case when v_fixed is null then string_agg(format('r.%I as n%s', s.name, s.n), ', ' order by s.n) end,
        'old', string_agg(format('u.o%s as %I', s.n, s.name), ', ' order by s.n),
        'new', string_agg(format('u.n%s as %I', s.n, s.name), ', ' order by s.n),
        'equal', case when v_exact then string_agg(
            format('u.o%s is not distinct from f.o%s', s.n, s.n)
                || case when v_fixed is null then format(' and u.n%s is not distinct from f.n%s', s.n, s.n) else '' end,
            ' and ' order by s.n)
            else format('row(%s)::record operator(pg_catalog.*=) row(%s)::record',
                string_agg(format('u.o%s', s.n) || case when v_fixed is null then format(', u.n%s', s.n) else '' end,
                    ', ' order by s.n),
                string_agg(format('f.o%s', s.n) || case when v_fixed is null then format(', f.n%s', s.n) else '' end,
                    ', ' order by s.n)) end)
    into v_list from jsonb_object_keys(p_watch.close) with ordinality as s (name, n);
    return v_list || jsonb_build_object('plain', true, 'fixed', v_fixed, 'same', true);
end
$$;
--;
comment on function recovery._close_image(recovery.watch, boolean) is
    'How the statement that closes reads, keeps and compares what it changes in the rows of a watch.';
--;
revoke all on function recovery._close_image(recovery.watch, boolean) from public;
--;
-- sql/closing/_close_kind_sql.sql
create or replace function recovery._close_kind_sql(p_watch recovery.watch, p_heir boolean)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_heir then $sql$'adopted'$sql$
        when p_watch.attempts is null then $sql$'closed'$sql$
        else format($sql$case when u.tries < %s%s then 'requeued' else 'closed' end$sql$, p_watch.max_attempts,
            case when p_watch.free_reasons <> '{}' then format(' or ($1).reason = any(%L::text[])',
                p_watch.free_reasons::text) else '' end) end
$$;
--;
comment on function recovery._close_kind_sql(recovery.watch, boolean) is
    'The kind of the event of a row of u<n> that the statement that closes has changed.';
--;
revoke all on function recovery._close_kind_sql(recovery.watch, boolean) from public;
--;
-- sql/closing/_close_lifeless.sql
create or replace function recovery._close_lifeless(
    p_detector text, p_limit integer, p_lock_wait interval,
    out o_closed jsonb, out o_failed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now    timestamptz := recovery._now();
    v_first  record;
    v_keys   text[];
    v_groups text[];
    v_batch  record;
    v_limit  integer := p_limit;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    o_failed := '{}';
    -- One batch a call: the caller commits. Rows with a group close by groups, others by themselves.
    select l.watch, l.group_key is null as alone, w.family into v_first
    from recovery.lifeless_state as l join recovery._attached_watches() as w on w.name = l.watch
    where l.dead and l.retry_at <= v_now order by 1, 2 limit 1;
    o_more := found;
    if not found then
        return;
    end if;
    -- Another sweeper's rows are skipped. What is tried is not tried again at once, whatever comes of it.
    with batch as (
        select l.watch, l.key, l.group_key from recovery.lifeless as l
        where l.watch = v_first.watch and (l.group_key is null) = v_first.alone and l.retry_at <= v_now
          and exists (select from recovery.lifeless_state as s where s.watch = l.watch and s.key = l.key and s.dead)
        order by l.group_key, l.key limit p_limit for update skip locked
    ), tried as (
        update recovery.lifeless as l set retry_at = v_now + interval '5 seconds'
        from batch as b where l.watch = b.watch and l.key = b.key
    )
    select array_agg(b.key order by b.group_key, b.key), array_agg(distinct b.group_key)
    into v_keys, v_groups from batch as b;
    if v_keys is null then
        o_more := false;
        return;
    end if;
    begin
        loop
            -- Skips locked rows: who holds one may be about to say that the work lives.
            select s.* into v_batch from recovery._close_selection(v_first.family, 'lifeless', null,
                case when recovery._has_fuses(v_first.family) then 'without' else 'ignore' end,
                case when not v_first.alone then recovery._group_tree(v_first.family, v_groups, false) end,
                null, null, null, v_limit, 'not_alive', p_detector, p_lock_wait, true, null,
                v_first.watch, v_keys) as s;
            exit when not v_batch.o_split;
            v_limit := v_limit / 8;
            v_keys := v_keys[1:v_limit];
        end loop;
        o_closed := v_batch.o_closed;
        o_failed := v_batch.o_failed;
        update recovery.lifeless as l set retry_at = '-infinity'
        where l.watch = v_first.watch and l.retry_at = v_now + interval '5 seconds' and v_limit < p_limit
          and l.key <> all(v_keys);
        -- A row that is opened again before the next look is another run.
        delete from recovery.lifeless as l
        where l.watch = v_first.watch and l.key = any(v_keys)
          and (o_closed ->> v_first.watch)::bigint = cardinality(v_keys);
    exception when others then
        perform recovery._note_broken_watch(v_first.watch, sqlstate, sqlerrm);
    end;
end
$$;
--;
comment on function recovery._close_lifeless(text, integer, interval) is
    'Closes up to p_limit rows that are dead by the evidence of the host''s own tables, whoever owns them; each only '
    'if that still says so, and no active fuse guards it. o_more false: there were none, or another sweeper has them.';
--;
revoke all on function recovery._close_lifeless(text, integer, interval) from public;
--;
-- sql/closing/_close_records_sql.sql
create or replace function recovery._close_records_sql(p_watch recovery.watch, p_n integer, p_image jsonb)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- One pass: rows with the values of the first one a hundred at a time, any other one by itself.
    select recovery._render_sql($sql$
        a{n} as materialized (
            select u.owner, {kind} as kind, array_agg(u.key) as keys, {groups} as grps,
                   (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old{new}
            from (
                select u.*, {equal} as same, row_number() over () - 1 as place
                from u{n} as u cross join f{n} as f
            ) as u
            cross join lateral (select {old}) as i{join}
            group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
        ),
        $sql$, jsonb_build_object(
        'n', p_n,
        'kind', recovery._close_kind_sql(p_watch, false),
        'groups', case when p_watch.group_by is null then 'null::text[]' else 'array_agg(u.grp)' end,
        'equal', p_image -> 'equal',
        'old', p_image -> 'old',
        'new', case when p_image ->> 'fixed' is null then
            E',\n           (array_agg(to_jsonb(j.*)) filter (where not u.same))[1] as new' else '' end,
        'join', case when p_image ->> 'fixed' is null
            then format(E'\n    cross join lateral (select %s) as j', p_image ->> 'new') else '' end))
$$;
--;
comment on function recovery._close_records_sql(recovery.watch, integer, jsonb) is
    'The part of the statement that closes which gathers rows that had the same values, and get the same, into '
    'records of a hundred events.';
--;
revoke all on function recovery._close_records_sql(recovery.watch, integer, jsonb) from public;
--;
-- sql/closing/_close_rows.sql
create or replace function recovery._close_rows(
    p_family text, p_selection text, p_owner text, p_guard text, p_task recovery.task,
    out o_closed jsonb, out o_failed jsonb
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_row   record;
    v_sql   text;
    v_done  jsonb;
    v_task  recovery.task;
    v_state text;
    v_error text;
begin
    o_closed := '{}';
    o_failed := '{}';
    v_task := p_task;
    v_task.max_rows := 1;
    v_task.bound := null;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family order by w.position, w.name
    loop
        v_sql := recovery._close_sql(p_family, 'row', p_owner, p_guard, true, true, p_task.heir is not null,
            v_watch.name);
        v_task.path := v_watch.path;
        for v_row in
            select recovery._to_texts(f.row -> 0) as parts, f.row ->> 1 as key
            from recovery._run_as_owner(v_watch.runner,
                recovery._rows_of_batch_sql(v_watch, p_selection, p_owner, p_guard), p_task) as f (row)
        loop
            begin
                v_task.keys := v_row.parts;
                v_task.written := clock_timestamp();
                select d.* into v_done from recovery._run_as_owner(v_watch.runner, v_sql, v_task, 'write') as d;
                if v_done <> '{}' then
                    o_closed := o_closed
                        || jsonb_build_object(v_watch.name, coalesce((o_closed ->> v_watch.name)::bigint, 0) + 1);
                    delete from recovery.failure as f where f.watch = v_watch.name and f.key = v_row.key;
                end if;
            exception when others then
                get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
                insert into recovery.failure as f (watch, key, key_parts, server_epoch, next_at, sqlstate, message)
                values (v_watch.name, v_row.key, v_row.parts, p_task.epoch, clock_timestamp() + interval '10 seconds',
                        v_state, v_error)
                on conflict (watch, key) do update
                set attempts = f.attempts + 1, last_at = clock_timestamp(),
                    next_at = clock_timestamp()
                        + least(interval '10 seconds' * (2 ^ least(f.attempts, 10)), interval '1 hour'),
                    server_epoch = excluded.server_epoch, sqlstate = excluded.sqlstate, message = excluded.message;
                o_failed := o_failed
                    || jsonb_build_object(v_watch.name, coalesce((o_failed ->> v_watch.name)::bigint, 0) + 1);
            end;
        end loop;
    end loop;
end
$$;
--;
comment on function recovery._close_rows(text, text, text, text, recovery.task) is
    'Closes a batch row by row after it failed as a whole: the bad rows go to recovery.failure with their error, all '
    'others close.';
--;
revoke all on function recovery._close_rows(text, text, text, text, recovery.task) from public;
--;
-- sql/closing/_close_selection.sql
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
--;
comment on function recovery._close_selection(
    text, text, bigint, text, text[], text, text[], text[], integer, text, text, interval, boolean, bigint,
    text, text[]
) is
    'Closes (or hands to p_heir) one batch: the rows of p_groups, the row p_key of p_watch, those after key p_key up '
    'to p_bound, or p_limit rows without a group; of these, for owner lifeless, those with the keys p_marked of '
    'p_marked_watch. Goes round locked rows, asks for smaller batches where a large one '
    'fails and finds the bad rows of a small one, writes the events of the groups, announces.';
--;
revoke all on function recovery._close_selection(
    text, text, bigint, text, text[], text, text[], text[], integer, text, text, interval, boolean, bigint,
    text, text[]
) from public;
--;
-- sql/closing/_close_set_sql.sql
create or replace function recovery._close_set_sql(p_watch recovery.watch, p_owner text, p_heir boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_heir then
        return 'server_epoch = ($1).heir';
    end if;
    return (select string_agg(format('%I = %s', s.key, s.value), E',\n        ')
        from jsonb_each_text(p_watch.close) as s)
        || case
            -- Taken from an owner that may live: the sign refuses its late result.
            when p_owner in ('any', 'lifeless') then E',\n        server_epoch = -abs(r.server_epoch)'
            -- Back in the queue nobody owns it.
            when p_watch.attempts is not null then format(
                E',\n        server_epoch = case when %s then null else r.server_epoch end',
                recovery._retries_sql(p_watch, 'c.reason'))
            else '' end;
end
$$;
--;
comment on function recovery._close_set_sql(recovery.watch, text, boolean) is
    'What the statement that closes sets: the columns of the watch and the owner; or only the owner, for an heir.';
--;
revoke all on function recovery._close_set_sql(recovery.watch, text, boolean) from public;
--;
-- sql/closing/_close_sql.sql
create or replace function recovery._close_sql(
    p_family    text,
    p_selection text,
    p_owner     text    default 'epoch',
    p_guard     text    default 'ignore',
    p_careful   boolean default false,
    p_failing   boolean default false,
    p_heir      boolean default false,
    p_watch     text    default null
)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* One statement closes one batch of a family and writes its events.

   n<n>, v<n>, u<n>, f<n>  the rows of watch n: see recovery._close_update_sql
   a<n>                    its events, gathered: see recovery._close_records_sql
   k, o                    groups with events of their own: see recovery._close_groups_sql
   e                       the events, ordered: groups as keys lists them, watches by position, rows by order_by,
                           then the group's own

   $1 is a recovery.task.

   p_selection  groups: rows of the groups in keys;  range: rows after key keys up to key bound;  loose: max_rows rows
                without a group;  row: the row with key keys
   p_owner      epoch: rows of epoch;  none: rows without an owner;  any: whoever owns them, one of epochs or nobody;
                lifeless: the same, of watch key the rows marked for which alive is still false;  named: rows without
                an owner whose own says key
   p_guard      fuses: ignore, without (leave guarded rows alone), with (only guarded rows)
   p_careful    skip rows that somebody has locked
   p_failing    leave out rows that are recorded as failing and not yet due
   p_heir       do not close but give to epoch heir

   Returns the rows closed, by watch. (Events `returning` their ids would cost half as much as the events.) */
declare
    v_watch  recovery.watch;
    v_n      integer := 0;
    v_image  jsonb;
    v_outbox integer;
    v_ctes   text[];
    v_events text[];
    v_counts text[];
    v_open   text[];
    v_head   recovery.watch;
    v_groups  record;
    v_records boolean;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_family and (p_watch is null or w.name = p_watch)
        order by w.position, w.name
    loop
        v_n := v_n + 1;
        v_outbox := v_watch.outbox;
        v_image := recovery._close_image(v_watch, p_heir);
        v_ctes := v_ctes
            || recovery._close_update_sql(v_watch, v_n, v_image, p_selection, p_owner, p_guard, p_careful, p_failing,
                p_heir);
        v_records := p_selection <> 'groups' and (v_image -> 'same')::boolean;
        if v_records then
            v_ctes := v_ctes || recovery._close_records_sql(v_watch, v_n, v_image);
        end if;
        v_events := v_events || recovery._close_event_sql(v_watch, v_n, v_image, p_selection, p_heir, v_records);
        v_counts := v_counts || format(case when v_records
            then 'select %L::text, coalesce(sum(cardinality(a.keys)), 0) from a%s as a'
            else 'select %L::text, count(*) from u%s' end, v_watch.name, v_n);
        if p_selection = 'groups' and not p_heir then
            v_open := v_open || recovery._open_in_groups_sql(v_watch);
            if v_watch.failed_topics is not null or v_watch.idle_topics is not null then
                v_head := v_watch;
            end if;
        end if;
    end loop;
    if v_head.id is not null then
        v_groups := recovery._close_groups_sql(v_head, v_open);
        v_ctes := v_ctes || v_groups.o_ctes;
        v_events := v_events || v_groups.o_event;
    end if;
    return recovery._render_sql($sql$
        with {ctes}
        e as (
            insert into recovery.outbox_{outbox}
                (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
            select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
                   ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
            from (
        {events}
            ) as x
        {order}
        )
        select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
        from (
            {counts}
        ) as s (watch, n)
        $sql$, jsonb_build_object(
        'ctes', array_to_string(v_ctes, E'\n'),
        'outbox', v_outbox,
        'events', array_to_string(v_events, E'\n        union all\n'),
        -- A map rather than a join, which an estimate of one row would make a nested loop.
        'order', case when p_selection = 'groups' then recovery._render_sql($sql$
            order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
                      -> x.grp)::bigint, x.pos, x.ord
        $sql$, '{}') else '' end,
        'counts', array_to_string(v_counts, E'\n    union all\n    ')));
end
$$;
--;
comment on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) is
    'Builds the statement that closes (or hands over) one batch of a family together with its events.';
--;
revoke all on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) from public;
--;
-- sql/closing/_close_unit.sql
create or replace function recovery._close_unit(
    p_unit recovery.unit, p_reason text, p_detector text, p_lock_wait interval default interval '2 seconds',
    p_force boolean default false,
    out o_closed jsonb
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := recovery._watch_of_unit(p_unit);
    v_groups text[];
    v_key    text[];
    v_guard  text;
begin
    if v_watch.id is null then
        perform recovery._fail('RC008',
            format('nothing is watched as %s', coalesce(quote_literal(p_unit.watch), 'null')),
            'See recovery.watch for the names.');
    end if;
    if not p_force and recovery._lives_elsewhere(p_unit) then
        o_closed := '{}';
        return;
    end if;
    if p_unit.scope = 'group' then
        v_groups := recovery._group_tree(v_watch.family, array[p_unit.key], false);
    else
        v_key := recovery._key_parts(v_watch, p_unit.key);
    end if;
    v_guard := case when not p_force and recovery._has_fuses(v_watch.family) then 'without' else 'ignore' end;
    select s.o_closed into o_closed
    from recovery._close_selection(v_watch.family, 'any', null, v_guard, v_groups,
        case when v_groups is null then v_watch.name end, v_key, null, 1,
        p_reason, p_detector, p_lock_wait, false, null) as s;
end
$$;
--;
comment on function recovery._close_unit(recovery.unit, text, text, interval, boolean) is
    'Closes one row, or one group with its descendants, whoever owns it; what an active fuse guards stays, and a unit '
    'with rows of a publisher, unless p_force. Counts per watch.';
--;
revoke all on function recovery._close_unit(recovery.unit, text, text, interval, boolean) from public;
--;
-- sql/closing/_close_unit_tree.sql
create or replace function recovery._close_unit_tree(
    p_unit recovery.unit, p_reason text, p_detector text, p_lock_wait interval default interval '2 seconds',
    p_force boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := recovery._watch_of_unit(p_unit);
    v_child  recovery.unit;
    v_closed jsonb := '{}';
begin
    if p_unit.scope = 'row' then
        v_child := (v_watch.family, 'group', v_watch.name, recovery._child_group(v_watch, p_unit.key));
    end if;
    if v_child.key is not null then
        -- Cancelling cascades to what the row waits for.
        v_closed := recovery._close_unit(v_child, p_reason, p_detector, p_lock_wait, p_force);
    end if;
    return recovery._add_counts(v_closed, recovery._close_unit(p_unit, p_reason, p_detector, p_lock_wait, p_force));
end
$$;
--;
comment on function recovery._close_unit_tree(recovery.unit, text, text, interval, boolean) is
    'Closes a unit, whoever owns it, with the group that the row waits for and all descendants. Counts per watch.';
--;
revoke all on function recovery._close_unit_tree(recovery.unit, text, text, interval, boolean) from public;
--;
-- sql/closing/_close_update_sql.sql
create or replace function recovery._close_update_sql(
    p_watch   recovery.watch,
    p_n       integer,
    p_image   jsonb,
    p_selection   text,
    p_owner   text,
    p_guard   text,
    p_careful boolean,
    p_failing boolean,
    p_heir    boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* n<n>  the new values, where they are the same for every row.
   v<n>  the orphans of watch n in the batch, with the image of what a closing changes. They are not
         locked: a lock costs half as much as the update itself.
   u<n>  the update. It meets its row by ctid and xmin, so it changes exactly the version that v<n> saw;
         a row that somebody changed meanwhile no longer matches and is left to the next pass. It asks
         again for the owner and for open-ness, which is what makes a second closer harmless (inside a case,
         or the planner, which takes open rows for few, would look for them once more instead of by ctid).
         From PostgreSQL 18 on the update returns old values itself, and v<n> is needed only to go round locks.
   f<n>  the first row's values as json; rows with the same values share it. */
declare
    v_direct constant boolean := current_setting('server_version_num')::integer >= 180000
        and not p_careful and p_selection in ('groups', 'range');
    v_c      constant text := $sql$(values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)$sql$;
    v_comma  constant text := E',\n              ';
    v_ctes   text := '';
    v_holes  jsonb;
begin
    if p_image ->> 'fixed' is not null then
        v_ctes := recovery._render_sql($sql$
            n{n} as materialized (
                select {fixed} as new
                from {c}
            ),
            $sql$, jsonb_build_object('n', p_n, 'fixed', p_image -> 'fixed', 'c', v_c)) || E'\n';
    end if;
    v_holes := jsonb_build_object(
        'n', p_n,
        'relation', p_watch.relation,
        'set', recovery._close_set_sql(p_watch, p_owner, p_heir),
        'c', v_c,
        'where', recovery._closable_sql(p_watch, p_owner, p_guard) || E'\n      and '
            || recovery._key_sql(p_watch, case p_selection
                when 'range' then 'between'
                when 'row' then 'equal'
                when 'groups' then case when v_direct then 'groups' else 'group' end
                else p_selection end)
            || case when p_failing then E'\n      and ' || recovery._not_failing_sql(p_watch) else '' end,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'more', concat(
            v_comma || (p_image ->> 'after'),
            case when p_selection = 'groups' then
                v_comma || coalesce(p_watch.order_by, 'row(' || recovery._key_sql(p_watch, 'columns') || ')')
                    || ' as ord' end,
            v_comma || 'r.' || quote_ident(p_watch.attempts) || ' as tries',
            case when not p_heir then v_comma || format(
                'case when (%s) then recovery._refuse_open_row(%L) end', p_watch.open, p_watch.name) end));
    if v_direct then
        v_ctes := v_ctes || recovery._render_sql($sql$
            u{n} as (
                update {relation} as r set {set}
                from {c}
                where {where}
                returning old.server_epoch as owner, {key} as key, {group} as grp,
                          {before}{more}
            ),
            $sql$, v_holes || jsonb_build_object('before', recovery._realias_sql(p_image ->> 'before', 'old')));
    else
        v_ctes := v_ctes || recovery._render_sql($sql$
            v{n} as materialized (
                {each_group}
                select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, {before}
                from {relation} as r
                where {where}
                {limit}
                {locking}
                {end_of_each}
            ),
            u{n} as (
                update {relation} as r set {set}
                from v{n} as v cross join {c}
                where r.ctid = v.tid and r.xmin = v.xm{same_partition}
                  and case when {owned} then {open}{dead} end
                returning v.owner, {key} as key, {group} as grp,
                          {kept}{more}
            ),
            $sql$, v_holes || jsonb_build_object(
            'before', p_image -> 'before',
            'kept', p_image -> 'kept',
            -- Group by group: an estimate of one row must not make it read all open rows for each batch.
            'each_group', case when p_selection = 'groups' then format(
                'select s.* from unnest(($1).keys::%s[]) as g (g) cross join lateral (', p_watch.group_type)
                    else '' end,
            'end_of_each', case when p_selection = 'groups' then 'offset 0) as s' else '' end,
            'limit', case when p_selection = 'loose' then format(
                'order by %s limit ($1).max_rows', recovery._key_sql(p_watch, 'columns')) else '' end,
            'locking', case when p_careful then 'for update of r skip locked' else '' end,
            'same_partition', case (select c.relkind from pg_class as c where c.oid = p_watch.relation)
                when 'p' then ' and r.tableoid = v.tab' else '' end,
            'owned', case p_owner
                when 'epoch' then 'r.server_epoch = ($1).epoch'
                when 'none' then 'r.server_epoch is null'
                else 'r.server_epoch is not distinct from v.owner' end,
            'open', p_watch.open,
            'dead', case when p_owner = 'lifeless'
                then coalesce(' and ' || recovery._life_sql(p_watch, 'dead'), '') else '' end));
    end if;
    if (p_image -> 'same')::boolean and not (p_watch.diff and p_selection = 'groups') then
        v_ctes := v_ctes || E'\n' || recovery._render_sql($sql$
            f{n} as materialized (
                select u.*, to_jsonb(i.*) as old{new}
                from u{n} as u
                cross join lateral (select {old}) as i{join}
                limit 1
            ),
            $sql$, jsonb_build_object('n', p_n, 'old', p_image -> 'old',
                'new', case when p_image ->> 'fixed' is null then ', to_jsonb(j.*) as new' else '' end,
                'join', case when p_image ->> 'fixed' is null
                    then format(E'\n    cross join lateral (select %s) as j', p_image ->> 'new') else '' end));
    end if;
    return v_ctes;
end
$$;
--;
comment on function recovery._close_update_sql(
    recovery.watch, integer, jsonb, text, text, text, boolean, boolean, boolean
) is
    'The part of the statement that closes which changes the rows of the n-th watch, as common table expressions.';
--;
revoke all on function recovery._close_update_sql(
    recovery.watch, integer, jsonb, text, text, text, boolean, boolean, boolean
) from public;
--;
-- sql/closing/_compares_exactly.sql
create or replace function recovery._compares_exactly(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Not numeric (1.0 = 1.00), nor a collation that takes different texts for equal, nor what an extension brings.
    select bool_and(
        a.atttypid in ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype,
            'varchar'::regtype, 'uuid'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        and coalesce((select c.collisdeterministic from pg_collation as c where c.oid = a.attcollation), true))
    from pg_attribute as a
    where a.attrelid = p_watch.relation and p_watch.close ? a.attname::text
$$;
--;
comment on function recovery._compares_exactly(recovery.watch) is
    'Whether equal values of the columns that a closing sets are the same values, so that events may share their '
    'image.';
--;
revoke all on function recovery._compares_exactly(recovery.watch) from public;
--;
-- sql/closing/_disown_rows.sql
create or replace function recovery._disown_rows(p_family text, p_epoch bigint, p_limit integer)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_count bigint;
    v_task  recovery.task;
    v_total bigint := 0;
begin
    perform recovery._check_fresh();
    if not exists (select from recovery.server as s where s.epoch = p_epoch
        and (s.ended is not null or s.pending is not null))
    then
        perform recovery._fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch),
            'Only rows of ended epochs are let go.');
    end if;
    v_task.epoch := p_epoch;
    v_task.max_rows := p_limit;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family and w.only_if is not null
    loop
        begin
            v_task.path := v_watch.path;
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                with u as (
                    update {relation} as r set server_epoch = null
                    where r.ctid = any(array(
                        select r.ctid from {relation} as r
                        where r.server_epoch = ($1).epoch and ({open}) and ({only_if}) is not true
                        limit ($1).max_rows for update skip locked)) and r.server_epoch = ($1).epoch
                    returning 1
                )
                select to_jsonb(count(*)) from u
                $sql$, jsonb_build_object(
                'relation', v_watch.relation,
                'open', v_watch.open,
                'only_if', v_watch.only_if)), v_task, 'write') as n;
            v_total := v_total + v_count;
        exception when others then
            null;  -- only_if fails for some row: nothing is let go
        end;
    end loop;
    return v_total;
end
$$;
--;
comment on function recovery._disown_rows(text, bigint, integer) is
    'Lets go of rows of an ended epoch that are open but not orphans by the watch''s only_if, so that no later boot '
    'looks at them again.';
--;
revoke all on function recovery._disown_rows(text, bigint, integer) from public;
--;
-- sql/closing/_find_unit.sql
create or replace function recovery._find_unit(p_key text, p_watch text, p_scope text)
returns recovery.unit
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_unit   recovery.unit;
    v_family text;
    v_rows   text[] := '{}';
    v_groups text[] := '{}';
    v_found  text[];
    v_open   boolean;
    v_task   recovery.task;
begin
    v_task.key := p_key;
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where p_scope is distinct from 'group' and (p_watch is null or w.name = p_watch)
        order by w.family, w.position, w.name
    loop
        begin
            select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(exists (select from {relation} as r where ({open}) and {key} = ($1).key))',
                jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open,
                                   'key', recovery._key_text(v_watch.key_columns, 'r'))), v_task) as o;
        exception when others then
            raise warning 'recovery: watch "%" is passed over: %', v_watch.name, sqlerrm;
            v_open := false;
        end;
        if v_open then
            v_rows := v_rows || v_watch.name;
        end if;
    end loop;
    for v_family in
        select distinct w.family from recovery._attached_watches() as w
        where p_scope is distinct from 'row' and w.group_by is not null and (p_watch is null or w.name = p_watch)
    loop
        begin
            if recovery._is_group_open(v_family, recovery._group_tree(v_family, array[p_key], false)) then
                v_groups := v_groups || v_family;
            end if;
        exception
            when invalid_text_representation then
                null;  -- not a group of this type
            when others then
                raise warning 'recovery: family "%" is passed over: %', v_family, sqlerrm;
        end;
    end loop;
    -- A session that is open itself is a row and a group: the group includes it.
    select array_agg(f.name order by f.n) into v_found from (
        select 'row of ' || w.name as name, w.name as n from recovery._attached_watches() as w
        where w.name = any(v_rows) and w.family <> all(v_groups)
        union all
        select 'group of ' || g.name, g.name from unnest(v_groups) as g (name)) as f;
    if cardinality(v_found) > 1 then
        perform recovery._fail('RC010', format('%L could be: %s', p_key, array_to_string(v_found, ', ')),
            'Say which, by watch and scope (row or group).');
    elsif v_found is null then
        perform recovery._fail('RC010',
            format('nothing open has the key or group %s', coalesce(quote_literal(p_key), 'null')),
            'Keys and groups are written as recovery.event shows them.');
    end if;
    select w.family, case v_groups when '{}' then 'row' else 'group' end, w.name, p_key into v_unit
    from recovery._attached_watches() as w
    where case v_groups when '{}' then w.name = any(v_rows) else w.family = any(v_groups) end
    order by w.parent is null, w.position, w.name limit 1;
    return v_unit;
end
$$;
--;
comment on function recovery._find_unit(text, text, text) is
    'The one open unit that has a key, in a watch or in all of them, as a row, as a group, or as what it is (null). '
    'RC010 nothing or several things are called so.';
--;
revoke all on function recovery._find_unit(text, text, text) from public;
--;
-- sql/closing/_fixed_sql.sql
create or replace function recovery._fixed_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Only literals and what the closing itself brings; and no trigger of the host that may change them.
    select 'jsonb_build_object(' || string_agg(format('%L, %s', s.key, s.value), ', ' order by s.key) || ')'
    from jsonb_each_text(p_watch.close) as s
    where not recovery._has_rewriting_trigger(p_watch.relation)
    having bool_and(s.value ~ $re$^\(?('([^']|'')*'|c\.[a-z]+|-?[0-9.]+|N[U]LL|true|false)\)?(::[a-z_ "().0-9,]+)?$re$)
$$;
--;
comment on function recovery._fixed_sql(recovery.watch) is
    'SQL text for the new values of a closing where they are the same for each row, as {column: value}; else null.';
--;
revoke all on function recovery._fixed_sql(recovery.watch) from public;
--;
-- sql/closing/_has_guards.sql
create or replace function recovery._has_guards(p_family text)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._has_fuses(p_family)
        or exists (select from recovery.watch as w where w.family = p_family and w.alive is not null)
$$;
--;
comment on function recovery._has_guards(text) is
    'Whether anything may guard a row of a family, a fuse or evidence in the host''s own tables: only then do its '
    'statements look for that.';
--;
revoke all on function recovery._has_guards(text) from public;
--;
-- sql/closing/_is_elsewhere.sql
create or replace function recovery._is_elsewhere(p_family text, p_epoch bigint)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._is_replicated(p_family) and not recovery._issued_here(p_epoch)
$$;
--;
comment on function recovery._is_elsewhere(text, bigint) is
    'Whether rows of an owner (null: of nobody) came by logical replication, as far as anybody can tell: who does '
    'that work is known at the publisher only, so no boot, sweep or timeout touches them here.';
--;
revoke all on function recovery._is_elsewhere(text, bigint) from public;
--;
-- sql/closing/_is_named_sql.sql
create or replace function recovery._is_named_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        exists (
                  select from recovery.server as s
                  where s.name = ({owner}) and s.ended is null and s.pending is null)
        $sql$, jsonb_build_object('owner', p_watch.owner))
$$;
--;
comment on function recovery._is_named_sql(recovery.watch) is
    'The condition for a row without an owner that names a live server: it is to be adopted, not closed.';
--;
revoke all on function recovery._is_named_sql(recovery.watch) from public;
--;
-- sql/closing/_json_difference.sql
create or replace function recovery._json_difference(p_old jsonb, p_new jsonb, out old jsonb, out new jsonb)
returns record
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
-- It is called for each row: one loop over all keys costs two thirds of one over each side.
declare
    v_key  text;
    v_old  jsonb;
    v_new  jsonb;
    v_part record;
begin
    if jsonb_typeof(p_old) is distinct from 'object' or jsonb_typeof(p_new) is distinct from 'object' then
        old := p_old;
        new := p_new;
        return;
    end if;
    old := '{}';
    new := '{}';
    foreach v_key in array array(select jsonb_object_keys(p_old || p_new)) loop
        v_old := p_old -> v_key;
        v_new := p_new -> v_key;
        if v_old is null then
            new := new || jsonb_build_object(v_key, v_new);
        elsif v_new is null then
            old := old || jsonb_build_object(v_key, v_old);
        elsif v_old <> v_new then
            if jsonb_typeof(v_old) = 'object' and jsonb_typeof(v_new) = 'object' then
                v_part := recovery._json_difference(v_old, v_new);
                v_old := v_part.old;
                v_new := v_part.new;
            end if;
            old := old || jsonb_build_object(v_key, v_old);
            new := new || jsonb_build_object(v_key, v_new);
        end if;
    end loop;
end
$$;
--;
comment on function recovery._json_difference(jsonb, jsonb) is
    'What differs between two objects, as two sparse trees. A key in new alone was added, in old alone was removed.';
--;
revoke all on function recovery._json_difference(jsonb, jsonb) from public;
--;
-- sql/closing/_life_sql.sql
create or replace function recovery._life_sql(p_watch recovery.watch, p_question text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* guards  there is a sign of life
   spares  there is one, or it is missing for too short a time: whose heartbeat is late because the database stood
           still was guarded a moment ago
   dead    there is none
   agrees  there is none where a fuse says that the process is dead; a timeout asks nobody */
    select case when p_watch.alive is not null then recovery._render_sql(case p_question
            when 'guards' then '({alive}) is true'
            when 'spares' then $sql$
                case ({alive}) when true then true when false then not exists (
                      select from recovery.own_lifeless as l where l.watch = {watch!l} and l.key = {key}) else false end
                $sql$
            when 'dead' then '({alive}) is false'
            when 'agrees' then
                $sql$(($1).reason not in ('fuse_expired', 'process_dead') or ({alive}) is not true)$sql$ end,
        jsonb_build_object('alive', p_watch.alive) || case when p_question = 'spares' then jsonb_build_object(
            'watch', p_watch.name, 'key', recovery._key_text(p_watch.key_columns, 'r')) else '{}' end) end
$$;
--;
comment on function recovery._life_sql(recovery.watch, text) is
    'A condition about the evidence of life that the host''s own tables give for a row; null for other watches.';
--;
revoke all on function recovery._life_sql(recovery.watch, text) from public;
--;
-- sql/closing/_lives_elsewhere.sql
create or replace function recovery._lives_elsewhere(p_unit recovery.unit)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return recovery._is_replicated((recovery._watch_of_unit(p_unit)).family)
       and exists (select from recovery._unit_rows(p_unit) as o where not recovery._issued_here(o.server_epoch));
end
$$;
--;
comment on function recovery._lives_elsewhere(recovery.unit) is
    'Whether a unit, with what closing it concerns, has open rows that came by logical replication: '
    'no timeout and no fuse closes it.';
--;
revoke all on function recovery._lives_elsewhere(recovery.unit) from public;
--;
-- sql/closing/_next_groups.sql
create or replace function recovery._next_groups(
    p_family text, p_epoch bigint, p_guard text, p_after text, p_limit integer, out o_groups text[], out o_last text
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_found jsonb;
    v_some  text[];
begin
    -- Each watch offers the groups of its next rows. The smallest of their last ones bounds the batch,
    -- so that no group is passed over that another watch has not reached yet. By their order alone: not every type
    -- that has one has min and max (uuid).
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        v_some := v_some || recovery._render_sql($sql$
            select first_value(s.g) over (order by s.g desc) as top, count(*) over () as n, s.g
                from (
                    select {group} as g
                    from {relation} as r
                    where {closable} and {group} is not null and (($1).key is null or {group} > ($1).key::{type})
                    order by {group}
                    limit ($1).max_rows
                ) as s
            $sql$, jsonb_build_object(
            'group', v_watch.group_by,
            'relation', v_watch.relation,
            'closable', recovery._closable_sql(
                v_watch, case when p_epoch is null then 'none' else 'epoch' end, p_guard, false),
            'type', v_watch.group_type));
    end loop;
    v_task.epoch := p_epoch;
    v_task.key := p_after;
    v_task.max_rows := p_limit;
    v_task.at := recovery._now();
    select f.* into v_found from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        with s as materialized (
            {some}
        ),
        b as materialized (
            select (select s.top from s where s.n >= ($1).max_rows order by s.top limit 1) as bound)
        select jsonb_build_object(
            'groups', array_agg(distinct s.g)::text[], 'last', (array_agg(s.g order by s.g desc))[1]::text)
        from s, b where b.bound is null or s.g <= b.bound
        $sql$, jsonb_build_object(
        'some', array_to_string(v_some, ' union all '))), v_task) as f;
    o_groups := recovery._to_texts(v_found -> 'groups');
    o_last := v_found ->> 'last';
    -- Whole trees close together, deepest first: the batch takes in ancestors and descendants.
    o_groups := recovery._group_tree(p_family, o_groups, true);
end
$$;
--;
comment on function recovery._next_groups(text, bigint, text, text, integer) is
    'The next groups of a family in which an epoch has orphans, about p_limit rows in all, with their whole trees, '
    'deepest first.';
--;
revoke all on function recovery._next_groups(text, bigint, text, text, integer) from public;
--;
-- sql/closing/_next_key.sql
create or replace function recovery._next_key(p_family text, p_epoch bigint, p_after text[], p_limit integer)
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_key   jsonb;
begin
    select w.* into strict v_watch from recovery._attached_watches() as w where w.family = p_family;
    -- The text of the key is made for one row, not for those that are stepped over.
    v_task.epoch := p_epoch;
    v_task.keys := p_after;
    v_task.max_rows := p_limit;
    v_task.at := recovery._now();
    select k.* into v_key from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        select to_jsonb({parts})
        from (
            select {columns}
            from {relation} as r
            where {closable} and {after}
            order by {columns}
            offset ($1).max_rows - 1 limit 1
        ) as r
        $sql$, jsonb_build_object(
        'parts', recovery._key_sql(v_watch, 'parts'),
        'columns', recovery._key_sql(v_watch, 'columns'),
        'relation', v_watch.relation,
        'closable', recovery._closable_sql(
            v_watch, case when p_epoch is null then 'none' else 'epoch' end, 'ignore', false),
        'after', recovery._key_sql(v_watch, 'between'))), v_task) as k;
    return recovery._to_texts(v_key);
end
$$;
--;
comment on function recovery._next_key(text, bigint, text[], integer) is
    'Key of the p_limit-th open row after a key: where a batch of a watch without groups ends. Null: it takes all '
    'that is left.';
--;
revoke all on function recovery._next_key(text, bigint, text[], integer) from public;
--;
-- sql/closing/_no_sibling_sql.sql
create or replace function recovery._no_sibling_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The row carries the newest epoch of the name that lived when the work was opened. Those that are older lived
    -- then, too, and any of them may be doing it; what booted later can't be.
    select recovery._render_sql($sql$
        not exists (
                  select from recovery.server as s
                  where s.name = ({owner}) and s.epoch < r.server_epoch and s.ended is null and s.pending is null)
        $sql$, jsonb_build_object('owner', p_watch.owner))
$$;
--;
comment on function recovery._no_sibling_sql(recovery.watch) is
    'The condition for a row that names its server: nobody lives any more who bore the name when it was opened.';
--;
revoke all on function recovery._no_sibling_sql(recovery.watch) from public;
--;
-- sql/closing/_not_failing_sql.sql
create or replace function recovery._not_failing_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        not exists (
                  select from recovery.own_failure as f
                  where f.watch = {watch!l} and f.key = {key} and f.next_at > ($1).written)
        $sql$, jsonb_build_object(
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r')))
$$;
--;
comment on function recovery._not_failing_sql(recovery.watch) is
    'The condition for a row that is not recorded as failing, or is due again.';
--;
revoke all on function recovery._not_failing_sql(recovery.watch) from public;
--;
-- sql/closing/_open_elsewhere.sql
create or replace function recovery._open_elsewhere(
    p_family text, p_task recovery.task, out o_groups text[], out o_epochs bigint[]
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
as $$
declare
    v_watch recovery.watch;
    v_some  jsonb;
begin
    o_groups := '{}';
    o_epochs := array[p_task.epoch];
    -- Of an owner at most as many rows are read as there are groups; who has more is asked group by group.
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        select f.* into v_some from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            with k as materialized (select jsonb_object_agg(g.g, 1) as map, count(*) as n
                from unnest(($1).keys) as g (g))
            select jsonb_build_object('groups', array_agg(distinct f.grp) filter (where not f.most),
                                      'epochs', array_agg(distinct e.epoch) filter (where f.most))
            from unnest(($1).epochs) as e (epoch)
            cross join lateral (
                select ({group})::text as grp, row_number() over () = (select k.n from k) as most, {meant} as meant
                from {relation} as r where r.server_epoch = e.epoch and ({open}) limit (select k.n from k)) as f
            where e.epoch is distinct from ($1).epoch and (f.most or (select k.map from k) ? f.grp and f.meant)
            $sql$, jsonb_build_object(
            'group', v_watch.group_by,
            'relation', v_watch.relation,
            'open', v_watch.open,
            'meant', coalesce(
                'case when (select k.map from k) ? (' || v_watch.group_by || ')::text then (' || v_watch.only_if
                    || ') end',
                'true'))), p_task) as f;
        o_groups := o_groups || recovery._to_texts(v_some -> 'groups');
        o_epochs := o_epochs || recovery._to_texts(v_some -> 'epochs')::bigint[];
    end loop;
end
$$;
--;
comment on function recovery._open_elsewhere(text, recovery.task) is
    'For the groups of a task: those in which another owner has open work, and the owners that have too much of it to '
    'tell at once. So a closing does not look for every group at every server there is.';
--;
revoke all on function recovery._open_elsewhere(text, recovery.task) from public;
--;
-- sql/closing/_open_in_groups_sql.sql
create or replace function recovery._open_in_groups_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return recovery._render_sql($sql$
                    select g.g::text as grp, s.n
                    from unnest(($1).keys::{type}[]) as g (g)
                    cross join lateral (
                        select count(*) as n
                        from unnest(($1).epochs) as w (epoch)
                        cross join lateral (
                            select from {relation} as r
                            where r.server_epoch = w.epoch and {in_group} and ({open}){meant} offset 0) as r
                        union all
                        select count(*) from {relation} as r
                        where r.server_epoch is null and {in_group} and ({open}){meant} offset 0) as s
                    where s.n > 0
        $sql$, jsonb_build_object(
        'type', p_watch.group_type,
        'relation', p_watch.relation,
        'in_group', recovery._key_sql(p_watch, 'group'),
        'open', p_watch.open,
        'meant', coalesce(' and (' || p_watch.only_if || ')', '')));
end
$$;
--;
comment on function recovery._open_in_groups_sql(recovery.watch) is
    'The search that counts the open rows of a watch in each group of the task, whoever owns them.';
--;
revoke all on function recovery._open_in_groups_sql(recovery.watch) from public;
--;
-- sql/closing/_orphaned_epochs.sql
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
--;
comment on function recovery._orphaned_epochs(text) is
    'Families and epochs that have ended, or are to end and may write no more, that still own open rows (of one '
    'server name, or all); epoch null stands for rows that no server owns. Rows of a publisher are not among them. A '
    'watch that fails is noted in recovery.broken_watch and passed over.';
--;
revoke all on function recovery._orphaned_epochs(text) from public;
--;
-- sql/closing/_prune_failures.sql
create or replace function recovery._prune_failures()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure recovery.failure;
    v_watch   recovery.watch;
    v_open    boolean;
    v_task    recovery.task;
    v_count   bigint := 0;
begin
    for v_failure in select f.* from recovery.failure as f loop
        select w.* into v_watch from recovery._attached_watches() as w where w.name = v_failure.watch;
        v_open := false;
        if found then
            v_task.keys := v_failure.key_parts;
            begin
                select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                    'select to_jsonb(exists (select from {relation} as r where {key_is} and ({open})))',
                    jsonb_build_object('relation', v_watch.relation, 'key_is', recovery._key_sql(v_watch, 'equal'),
                                       'open', v_watch.open)), v_task) as o;
            exception when others then
                v_open := true;  -- the watch is broken: its failures stay
            end;
        end if;
        if not v_open then
            delete from recovery.failure as f where f.watch = v_failure.watch and f.key = v_failure.key;
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end
$$;
--;
comment on function recovery._prune_failures() is 'Forgets failures whose row somebody closed or deleted meanwhile.';
--;
revoke all on function recovery._prune_failures() from public;
--;
-- sql/closing/_prune_history.sql
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
--;
comment on function recovery._prune_history() is
    'Part of a sweep: forgets servers, processes and sweepers that ended longer ago than history_retention.';
--;
revoke all on function recovery._prune_history() from public;
--;
-- sql/closing/_prune_old.sql
create or replace function recovery._prune_old(p_anyway boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from recovery.event_floor as f
    where p_anyway or f.looked not between clock_timestamp() - interval '1 minute' and clock_timestamp()
    for update skip locked;
    if not found then
        return;  -- not yet, or another sweep is at it
    end if;
    update recovery.event_floor as f set looked = clock_timestamp();
    perform recovery._prune_history();
    perform recovery._retain_events();
end
$$;
--;
comment on function recovery._prune_old(boolean) is
    'Part of a sweep, once a minute: what is kept only for a time goes when it is over.';
--;
revoke all on function recovery._prune_old(boolean) from public;
--;
-- sql/closing/_reason_message.sql
create or replace function recovery._reason_message(p_reason text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_reason
        when 'superseded' then 'server restart'
        when 'shutdown' then 'server shutdown'
        when 'lease_expired' then 'server lost'
        when 'connection_lost' then 'server lost'
        when 'process_dead' then 'process died'
        when 'drain_expired' then 'drain limit reached'
        when 'evicted' then 'server evicted'
        when 'epoch_lost' then 'server lost'
        when 'fuse_expired' then 'no sign of life from its process'
        when 'tool_timeout' then 'tool timed out'
        when 'task_timeout' then 'task timed out'
        when 'idle_timeout' then 'no activity'
        when 'wall_timeout' then 'time limit reached'
        when 'not_alive' then 'no sign of life'
        when 'unowned' then 'no server owns it'
        when 'row_gone' then 'its row is gone'
        else replace(p_reason, '_', ' ')
    end
$$;
--;
comment on function recovery._reason_message(text) is
    'A reason in words for people: c.message in the expressions of a watch.';
--;
revoke all on function recovery._reason_message(text) from public;
--;
-- sql/closing/_record_sweep.sql
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
--;
comment on function recovery._record_sweep(text, timestamptz, jsonb) is
    'Last step of a sweep: records it, tells what is gone with a partition and what is written '
    'without events, forgets failures whose row is no longer '
    'open, rings for silent events.';
--;
revoke all on function recovery._record_sweep(text, timestamptz, jsonb) from public;
--;
-- sql/closing/_refuse_open_row.sql
create or replace function recovery._refuse_open_row(p_watch text)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._fail('RC006', format('the close expressions of watch "%s" leave a row open', p_watch));
end
$$;
--;
comment on function recovery._refuse_open_row(text) is
    'Called by a closing for a row that it leaves open: raises RC006.';
--;
revoke all on function recovery._refuse_open_row(text) from public;
--;
-- sql/closing/_remaining_orphans.sql
create or replace function recovery._remaining_orphans(p_family text, p_epoch bigint, p_guard text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
as $$
-- By the partial index, whatever the statistics say of rows that have just been closed.
declare
    v_watch  recovery.watch;
    v_owner  text := case when p_epoch is null then 'none' else 'epoch' end;
    v_holes  jsonb;
    v_count  bigint;
    v_result jsonb := '{}';
    v_task   recovery.task;
    v_template constant text := $sql$
        select to_jsonb(count(*))
        from {relation} as r
        where {closable} and not exists (
            select from recovery.own_failure as f where f.watch = {watch!l} and f.key = {key})
        $sql$;
begin
    v_task.epoch := p_epoch;
    v_task.at := recovery._now();
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        v_holes := jsonb_build_object(
            'relation', v_watch.relation, 'watch', v_watch.name, 'key', recovery._key_text(v_watch.key_columns, 'r'));
        begin
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(v_template,
                v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, v_owner, p_guard))),
                    v_task) as n;
        exception when others then
            begin
                -- only_if fails for some row: count without it.
                select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(v_template,
                    v_holes || jsonb_build_object('closable',
                        recovery._closable_sql(v_watch, v_owner, p_guard, false))),
                    v_task) as n;
            exception when others then
                perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
                continue;
            end;
        end;
        if v_count > 0 then
            v_result := v_result || jsonb_build_object(v_watch.name, v_count);
        end if;
    end loop;
    return v_result;
end
$$;
--;
comment on function recovery._remaining_orphans(text, bigint, text) is
    'Orphans of an ended epoch that are still open and not recorded as failing: somebody holds them.';
--;
revoke all on function recovery._remaining_orphans(text, bigint, text) from public;
--;
-- sql/closing/_rows_of_batch_sql.sql
create or replace function recovery._rows_of_batch_sql(
    p_watch recovery.watch, p_selection text, p_owner text, p_guard text
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select jsonb_build_array({parts}, {key})
        from {relation} as r
        where {closable} and {in_batch} and {not_failing}
        order by {order}{limit}
        $sql$, jsonb_build_object(
        'parts', recovery._key_sql(p_watch, 'parts'),
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'relation', p_watch.relation,
        'closable', recovery._closable_sql(p_watch, p_owner, p_guard, false),
        'in_batch', recovery._key_sql(p_watch, case p_selection when 'range' then 'between' else p_selection end),
        'not_failing', recovery._not_failing_sql(p_watch),
        'order', case when p_selection <> 'groups' then recovery._key_sql(p_watch, 'columns')
            -- A map: a search through the groups for every row would be their product.
            else format(
                '((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))'
                ' -> (%s)::text)::bigint, %s',
                p_watch.group_by, coalesce(p_watch.order_by, recovery._key_sql(p_watch, 'columns'))) end,
        'limit', case p_selection when 'loose' then ' limit ($1).max_rows' else '' end))
$$;
--;
comment on function recovery._rows_of_batch_sql(recovery.watch, text, text, text) is
    'The search for the rows of a batch, in the order in which they are closed one by one: [parts of the key, key].';
--;
revoke all on function recovery._rows_of_batch_sql(recovery.watch, text, text, text) from public;
--;
-- sql/closing/_unowned_work.sql
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
--;
comment on function recovery._unowned_work() is
    'Open rows that nobody owns, for each watch that has any, counted up to 1000: written without an epoch, so that '
    'nobody notices when their process dies. Not of watches that close them at boot (p_unowned), that a subscription '
    'writes, or whose setting unowned_expected is true.';
--;
revoke all on function recovery._unowned_work() from public;
--;
-- sql/closing/_write_group_events.sql
create or replace function recovery._write_group_events(
    p_family text, p_epoch bigint, p_groups text[], p_from bigint, p_to bigint, p_reason text, p_detector text
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_head   recovery.watch;
    v_watch  recovery.watch;
    v_groups text[];
    v_some   jsonb;
    v_task   recovery.task;
    v_busy   text[] := '{}';
    v_to     bigint;
begin
    select w.* into v_head from recovery._attached_watches() as w
    where w.family = p_family and (w.failed_topics is not null or w.idle_topics is not null);
    if not found then
        return p_to;
    end if;
    select array_agg(distinct e.group_key) into v_groups from recovery.event_range(p_from, p_to) as e
    where e.detector = p_detector and e.kind in ('closed', 'requeued')
      and e.group_key = any(p_groups);
    if v_head.idle_topics is not null then
        for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
            v_task.keys := v_groups;
            v_task.epochs := recovery._open_epochs(v_watch.name);
            select s.* into v_some from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                select to_jsonb(array_agg(distinct ({group})::text))
                from {relation} as r
                where {in_groups} and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
                  and ({open}){meant}
                $sql$, jsonb_build_object(
                'group', v_watch.group_by,
                'relation', v_watch.relation,
                'in_groups', recovery._key_sql(v_watch, 'groups'),
                'open', v_watch.open,
                'meant', coalesce(' and (' || v_watch.only_if || ')', ''))), v_task) as s;
            v_busy := v_busy || recovery._to_texts(v_some);
        end loop;
    end if;
    with added as (
        insert into recovery.outbox (server_epoch, watch, kind, topic, key, group_key, reason, detector, new)
        select p_epoch, v_head.name, t.kind, t.topic, g.key, g.key, p_reason, p_detector,
               jsonb_build_object('message', recovery._reason_message(p_reason))
        from unnest(p_groups) with ordinality as g (key, n)
        cross join lateral (
            select 'failed' as kind, f.topic, f.n from unnest(v_head.failed_topics) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n from unnest(v_head.idle_topics) with ordinality as i (topic, n)
            where g.key <> all(v_busy)
        ) as t
        where g.key = any(v_groups)
        order by g.n, t.n
        returning id
    )
    select max(id) into v_to from added;
    return coalesce(v_to, p_to);
end
$$;
--;
comment on function recovery._write_group_events(text, bigint, text[], bigint, bigint, text, text) is
    'Writes the events of the groups in which the events p_from..p_to closed rows: failed, and idle where nothing is '
    'open any more. Returns the last event id.';
--;
revoke all on function recovery._write_group_events(text, bigint, text[], bigint, bigint, text, text) from public;
--;
-- sql/closing/close.sql
create or replace function recovery.close(
    p_key    text,
    p_reason text    default 'operator',
    p_watch  text    default null,
    p_scope  text    default null,
    p_dry    boolean default false
)
returns table (watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit    recovery.unit;
    v_epoch   bigint;
    v_by      text := 'operator:' || session_user;
    v_left    text;
    v_why     text;
    v_session jsonb;
begin
    if not p_dry then
        perform recovery._check_fresh();
    end if;
    if p_scope is not null and p_scope not in ('row', 'group') then
        perform recovery._fail('RC010', format('scope %L is not known', p_scope), 'Allowed are row and group.');
    elsif p_reason is null or btrim(p_reason) = '' or octet_length(p_reason) > 200 then
        perform recovery._fail('RC010',
            format('reason %s is not allowed', coalesce(quote_literal(left(p_reason, 60)), 'null')),
            'Give 1 to 200 bytes.');
    elsif p_watch is not null and not exists (select from recovery._attached_watches() as w where w.name = p_watch) then
        perform recovery._fail('RC008', format('nothing is watched as %L', p_watch),
            'See recovery.watch for the names.');
    end if;
    v_unit := recovery._find_unit(p_key, p_watch, p_scope);
    return query select o.* from recovery._unit_rows(v_unit) as o;
    if p_dry then
        return;
    end if;
    -- Live owners are told to stop, and are not waited for.
    for v_epoch in
        select distinct o.server_epoch from recovery._unit_rows(v_unit) as o
        join recovery.server as s on s.epoch = o.server_epoch where s.ended is null
    loop
        perform recovery._send_cancel(v_epoch, v_unit, p_reason, v_by, '{"closed": true}');
    end loop;
    delete from recovery.fuse as f
    where f.family = v_unit.family and f.scope = v_unit.scope and f.key = v_unit.key
      and (f.scope = 'group' or f.watch = v_unit.watch);
    v_session := recovery._session_settings();
    perform recovery._close_unit_tree(v_unit, p_reason, v_by, interval '2 seconds', true);
    perform recovery._restore_settings(v_session);
    select string_agg(format('%s of %s', o.key, o.watch), ', ') into v_left from recovery._unit_rows(v_unit) as o;
    if v_left is not null then
        select f.message into v_why
        from recovery.failure as f join recovery._unit_rows(v_unit) as o on f.watch = o.watch and f.key = o.key limit 1;
        perform recovery._fail('55P03', format('nothing was closed: %s could not be (%s)',
            v_left, coalesce(v_why, 'another transaction holds it')));
    end if;
end
$$;
--;
comment on function recovery.close(text, text, text, text, boolean) is
    'The escape hatch: closes one open row or group (session) with its descendants, whoever owns it and whatever '
    'guards it; live owners are told by an event of kind cancel. Returns the rows. With p_dry nothing changes. '
    'RC010 nothing or several things are called so, RC008 not watched, 55P03 somebody holds one of the rows '
    '(then nothing is closed).';
--;
revoke all on function recovery.close(text, text, text, text, boolean) from public;
--;
-- sql/closing/preview.sql
create or replace function recovery.preview(p_boot text default null)
returns table (action text, reason text, watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_due   record;
    v_end   record;
    v_fuse  record;
    v_unit  recovery.unit;
    v_fuses boolean;
    v_holes jsonb;
    v_task  recovery.task;
begin
    v_task.at := recovery._now();
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position, w.name loop
        begin
            v_fuses := recovery._has_guards(v_watch.family);
            v_holes := jsonb_build_object(
                'key', recovery._key_text(v_watch.key_columns, 'r'),
                'group', coalesce('(' || v_watch.group_by || ')::text', 'null::text'),
                'relation', v_watch.relation);
            for v_end in
                select s.epoch, coalesce(s.reason, j.reason, 'superseded') as reason
                from recovery.server as s left join recovery.judgement as j on j.epoch = s.epoch and j.dead
                where s.epoch = any(recovery._open_epochs(v_watch.name))
                    and not recovery._is_elsewhere(v_watch.family, s.epoch)
                  and case when p_boot is null then s.ended is not null or j.dead
                           else s.name = p_boot and (s.ended is not null or j.dead
                               or s.drain_until is null and not recovery._is_sibling(s, s.host, null, null)) end
            loop
                v_task.epoch := v_end.epoch;
                return query select f.row ->> 0, v_end.reason, v_watch.name, f.row ->> 1, f.row ->> 2, v_end.epoch
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                        select jsonb_build_array(case when {guarded} then {spare!l} else 'close' end, {key}, {group})
                        from {relation} as r
                        where {closable}
                        $sql$, v_holes || jsonb_build_object(
                        'guarded', case when v_fuses then concat_ws(' or ', recovery._guard_sql(v_watch),
                                recovery._life_sql(v_watch, case when p_boot is null then 'spares' else 'guards' end))
                            else 'false' end,
                        'spare', case when p_boot is null then 'keep' else 'adopt' end,
                        'closable', recovery._closable_sql(v_watch, 'epoch', 'ignore'))), v_task) as f (row);
            end loop;
            if v_watch.owner is not null and not recovery._is_replicated(v_watch.family) then
                return query select 'adopt'::text, 'adopted'::text, v_watch.name, f.row ->> 0, f.row ->> 1, null::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                        select jsonb_build_array({key}, {group}) from {relation} as r
                        where r.server_epoch is null and ({open}) and {named}
                        $sql$, v_holes || jsonb_build_object(
                        'open', v_watch.open,
                        'named', case when p_boot is null then recovery._is_named_sql(v_watch)
                            else format('(%s) = %L', v_watch.owner, p_boot) end))) as f (row);
            end if;
            if v_watch.alive is not null and p_boot is null and not recovery._is_replicated(v_watch.family) then
                v_task.epoch := null;
                v_task.epochs := recovery._open_epochs(v_watch.name);
                v_task.key := v_watch.name;
                v_task.marked := array(
                    select l.key from recovery.lifeless_state as l where l.watch = v_watch.name and l.dead);
                return query select 'close'::text, 'not_alive'::text, v_watch.name, f.row ->> 0, f.row ->> 1,
                        (f.row ->> 2)::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                        'select jsonb_build_array({key}, {group}, r.server_epoch) from {relation} as r'
                        ' where {closable}',
                        v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, 'lifeless',
                            case when v_fuses then 'without' else 'ignore' end))), v_task) as f (row);
            end if;
            if v_watch.unowned is not null and not recovery._is_replicated(v_watch.family) then
                v_task.epoch := null;
                return query select 'close'::text, 'unowned'::text, v_watch.name, f.row ->> 0, f.row ->> 1, null::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                        'select jsonb_build_array({key}, {group}) from {relation} as r where {closable}',
                        v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, 'none',
                            case when v_watch.alive is null then 'ignore' else 'without' end))),
                        v_task) as f (row);
            end if;
        exception when others then
            raise warning 'recovery: watch "%" is passed over: %', v_watch.name, sqlerrm;
        end;
    end loop;
    if p_boot is not null then
        return;
    end if;
    for v_fuse in select f.* from recovery.fuse_state as f where f.spent and not exists (
        select from recovery.fuse_state as o
        where o.family = f.family and o.scope = f.scope and o.key = f.key
          and (o.scope = 'group' or o.watch = f.watch) and o.burns) order by f.id
    loop
        v_unit := (v_fuse.family, v_fuse.scope, v_fuse.watch, v_fuse.key);
        return query select 'close'::text,
            case when v_fuse.process_dead is null then 'fuse_expired' else 'process_dead' end,
            o.watch, o.key, o.group_key, o.server_epoch from recovery._unit_rows(v_unit) as o;
    end loop;
    for v_due in select d.* from recovery._due_units() as d loop
        v_unit := (v_due.family, v_due.scope, v_due.watch, v_due.key);
        return query
            select case
                       when exists (select from recovery.server as s where s.epoch = v_due.owner and s.ended is null)
                           and recovery.get_setting('cancel_grace', v_unit.watch, v_due.detail ->> 'kind',
                               case v_unit.scope when 'group' then v_unit.key end)::interval > interval '0'
                           and not exists (
                               select from recovery.cancellation as c
                               where c.family = v_unit.family and c.scope = v_unit.scope and c.key = v_unit.key
                                 and (c.scope = 'group' or c.watch = v_unit.watch) and c.deadline <= recovery._now())
                       then 'ask' else 'close' end,
                   v_due.reason, o.watch, o.key, o.group_key, o.server_epoch
            from recovery._unit_rows(v_unit) as o;
    end loop;
end
$$;
--;
comment on function recovery.preview(text) is
    'What a sweep would do now, or with p_boot a boot of that name: rows with action (close, adopt, keep, ask) and '
    'reason. Nothing is done.';
--;
revoke all on function recovery.preview(text) from public;
--;
-- sql/step/_add_counts.sql
create or replace function recovery._add_counts(p_a jsonb, p_b jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(s.key, s.n), '{}')
    from (select x.key, sum(x.value::bigint) as n
          from (select * from jsonb_each_text(p_a) union all select * from jsonb_each_text(p_b)) as x
          group by x.key) as s
$$;
--;
comment on function recovery._add_counts(jsonb, jsonb) is 'Adds two objects of counts key by key.';
--;
revoke all on function recovery._add_counts(jsonb, jsonb) from public;
--;
-- sql/step/_add_to_report.sql
create or replace function recovery._add_to_report(p_report jsonb, p_field text, p_counts jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_set(p_report, array[p_field], recovery._add_counts(p_report -> p_field, p_counts))
$$;
--;
comment on function recovery._add_to_report(jsonb, text, jsonb) is
    'A report with counts per watch added to one of its fields (closed, adopted, failed, busy).';
--;
revoke all on function recovery._add_to_report(jsonb, text, jsonb) from public;
--;
-- sql/step/_begin_step.sql
create or replace function recovery._begin_step(p_lock_wait interval)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    if current_setting('server_version_num')::integer >= 170000 then
        perform set_config('transaction_timeout', '0', true);
    end if;
    return clock_timestamp() < recovery._call_deadline();
end
$$;
--;
comment on function recovery._begin_step(interval) is
    'Begins a transaction of boot, sweep or shutdown: its lock waits are bounded, the caller''s transaction_timeout '
    'does not end the session in its middle. False: no time is left before statement_timeout.';
--;
revoke all on function recovery._begin_step(interval) from public;
--;
-- sql/step/_call_deadline.sql
create or replace function recovery._call_deadline()
returns timestamptz
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The time-out counts from the arrival of the whole CALL, and no setting changes one that runs.
    select case when current_setting('statement_timeout')::interval = interval '0' then 'infinity'
                else statement_timestamp() + current_setting('statement_timeout')::interval - interval '1 second' end
$$;
--;
comment on function recovery._call_deadline() is
    'When boot, sweep and shutdown stop and leave the rest to the next sweep: a second before statement_timeout would '
    'end them half done.';
--;
revoke all on function recovery._call_deadline() from public;
--;
-- sql/step/_check_call.sql
create or replace function recovery._check_call(p_batch integer, p_lock_wait interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_batch is null or p_batch not between 1 and 100000 then
        perform recovery._fail('RC010', format('batch %s is not allowed', coalesce(p_batch::text, 'null')),
            'Give a number of rows from 1 to 100000.');
    end if;
    if p_lock_wait is null or p_lock_wait < interval '1 millisecond' or p_lock_wait > interval '1 hour' then
        perform recovery._fail('RC010', format('lock wait %s is not allowed', coalesce(p_lock_wait::text, 'null')),
            'Give an interval from 1 millisecond to 1 hour.');
    end if;
    perform recovery._check_session();
    -- What is refused here has changed nothing.
    if recovery._call_deadline() < statement_timestamp() + interval '1 second' then
        perform recovery._fail('RC010',
            format('statement_timeout of %s is too short: it would end this call half done',
            current_setting('statement_timeout')),
            'Give it 2 seconds or more; best execute set statement_timeout = 0; before the call, in a statement of '
            'its own.');
    end if;
end
$$;
--;
comment on function recovery._check_call(integer, interval) is
    'Refuses arguments with which boot, sweep and shutdown cannot work: RC010.';
--;
revoke all on function recovery._check_call(integer, interval) from public;
--;
-- sql/step/_check_deadline.sql
create or replace function recovery._check_deadline()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if clock_timestamp() > recovery._call_deadline() then
        perform recovery._fail('57014',
            format('statement_timeout of %s is over: nothing was changed', current_setting('statement_timeout')),
            'Execute set statement_timeout = 0; before the call, in a statement of its own.');
    end if;
end
$$;
--;
comment on function recovery._check_deadline() is
    'Takes back the first transaction of a boot that took too long: 57014.';
--;
revoke all on function recovery._check_deadline() from public;
--;
-- sql/step/_check_interval.sql
create or replace function recovery._check_interval(p_what text, p_value interval, p_least interval, p_most interval)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set intervalstyle = postgres
as $$
begin
    if p_value is null or p_value < p_least or p_value > p_most then
        perform recovery._fail('RC010', format('%s %s is not allowed', p_what, coalesce(p_value::text, 'null')),
            format('Give an interval from %s to %s.', p_least, p_most));
    end if;
end
$$;
--;
comment on function recovery._check_interval(text, interval, interval, interval) is
    'Refuses an interval that is null or out of range, naming what it is for: RC010.';
--;
revoke all on function recovery._check_interval(text, interval, interval, interval) from public;
--;
-- sql/step/_check_label.sql
create or replace function recovery._check_label(p_label text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if btrim(p_label) = '' or octet_length(p_label) > 200 or p_label ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('sweep label %s is not allowed', quote_literal(left(p_label, 60))),
            'Give 1 to 200 bytes without control characters.');
    end if;
end
$$;
--;
comment on function recovery._check_label(text) is 'Refuses a sweeper''s label that cannot work: RC010.';
--;
revoke all on function recovery._check_label(text) from public;
--;
-- sql/step/_check_session.sql
create or replace function recovery._check_session()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('is_superuser') = 'on' and current_setting('server_version_num')::integer < 180000
       and coalesce(current_setting('recovery.warned', true), '') = '' then
        perform set_config('recovery.warned', 'on', false);
        raise warning 'recovery: % is a superuser, and a deferred trigger of a watched table may run with its rights',
            session_user
            using hint = 'Up to PostgreSQL 17 a deferred trigger that defers itself again runs at commit as the user '
                'of the session. Log in as a member of recovery_server.';
    end if;
end
$$;
--;
comment on function recovery._check_session() is
    'Warns a superuser once a session up to PostgreSQL 17, before boot, sweep and shutdown.';
--;
revoke all on function recovery._check_session() from public;
--;
-- sql/step/_end_report.sql
create or replace function recovery._end_report(p_report jsonb, p_start timestamptz)
returns jsonb
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select p_report || jsonb_build_object(
        'suspected', coalesce((select jsonb_agg(s.epoch) from recovery.server as s where s.ended is null
            and s.suspected is not null), '[]'),
        'ms', round(extract(epoch from clock_timestamp() - p_start) * 1000, 3))
$$;
--;
comment on function recovery._end_report(jsonb, timestamptz) is
    'A report with the milliseconds it took, and the servers whose keeper connection is gone.';
--;
revoke all on function recovery._end_report(jsonb, timestamptz) from public;
--;
-- sql/step/_fit_lock_wait.sql
create or replace function recovery._fit_lock_wait(p_lock_wait interval)
returns interval
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Ending one server takes up to three such waits.
    select case when isfinite(d.until) then least(p_lock_wait, (d.until - statement_timestamp()) / 6)
        else p_lock_wait end
    from (values (recovery._call_deadline())) as d (until)
$$;
--;
comment on function recovery._fit_lock_wait(interval) is
    'A lock wait, shortened so that several fit into the caller''s statement_timeout.';
--;
revoke all on function recovery._fit_lock_wait(interval) from public;
--;
-- sql/step/_new_report.sql
create or replace function recovery._new_report(p_ended bigint[])
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('ended', to_jsonb(p_ended), 'closed', '{}'::jsonb, 'adopted', '{}'::jsonb, 'failed',
        '{}'::jsonb, 'busy', '{}'::jsonb, 'more', false)
$$;
--;
comment on function recovery._new_report(bigint[]) is
    'An empty report: epochs that ended, and counts per watch of rows closed, failed, busy; more: it stopped in time, '
    'and the rest is left to the next sweep.';
--;
revoke all on function recovery._new_report(bigint[]) from public;
--;
-- sql/fuse/_check_ttl.sql
create or replace function recovery._check_ttl(p_ttl interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_ttl is null or p_ttl <= interval '0' or p_ttl > interval '7 days' then
        perform recovery._fail('RC010', format('fuse ttl %s is not allowed', coalesce(p_ttl::text, 'null')),
            'Give an interval up to 7 days; extend the fuse as long as the work runs.');
    end if;
end
$$;
--;
comment on function recovery._check_ttl(interval) is 'Refuses a time to live that cannot work: RC010.';
--;
revoke all on function recovery._check_ttl(interval) from public;
--;
-- sql/fuse/_close_burnt_fuse.sql
create or replace function recovery._close_burnt_fuse(
    p_detector text, p_lock_wait interval, out o_closed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_fuse  record;
    v_unit  recovery.unit;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    -- One fuse a call: the caller commits. Another sweeper's fuse is skipped, an extension just committing is waited
    -- out by nobody.
    select f.* into v_fuse from recovery.fuse_state as f where f.spent and f.retry_at <= recovery._now()
    order by f.id limit 1 for update skip locked;
    o_more := found;
    if not found then
        return;
    end if;
    v_unit := (v_fuse.family, v_fuse.scope, v_fuse.watch, v_fuse.key);
    -- Another fuse burns there: the unit is not over for this one's sake.
    if exists (
        select from recovery.fuse_state as f
        where f.family = v_unit.family and f.scope = v_unit.scope and f.key = v_unit.key
          and (f.scope = 'group' or f.watch = v_unit.watch) and f.id <> v_fuse.id and f.burns
    ) then
        delete from recovery.fuse as f where f.id = v_fuse.id;
        return;
    end if;
    begin
        o_closed := recovery._close_unit(v_unit,
            case when v_fuse.process_dead is null then 'fuse_expired' else 'process_dead' end, p_detector, p_lock_wait);
        -- A break in watching, noticed while the unit closed, has kept the unit: then the fuse stays, too.
        delete from recovery.fuse as f using recovery.fuse_state as s
        where f.id = v_fuse.id and s.id = f.id and s.spent;
    exception when others then
        perform recovery._note_broken_watch(
            coalesce((recovery._watch_of_unit(v_unit)).name, v_unit.watch), sqlstate, sqlerrm);
        update recovery.fuse as f set retry_at = recovery._now() + interval '10 seconds' where f.id = v_fuse.id;
    end;
end
$$;
--;
comment on function recovery._close_burnt_fuse(text, interval) is
    'Takes one fuse that burnt out or whose process died, closes its unit for the reason that is true unless another '
    'fuse burns there, and removes it. o_more false: there was none.';
--;
revoke all on function recovery._close_burnt_fuse(text, interval) from public;
--;
-- sql/fuse/_guard_sql.sql
create or replace function recovery._guard_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        (exists (
                  select from recovery.own_fuse as f
                  where f.family = {family!l} and f.scope = 'row' and f.watch = {watch!l} and f.key = {key})
        {or_group})
        $sql$, jsonb_build_object(
        'family', p_watch.family,
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'or_group', case when p_watch.group_by is null then '' else recovery._render_sql($sql$
               or exists (
                  select from recovery.own_fuse as f
                  where f.family = {family!l} and f.scope = 'group' and f.key = ({group})::text)
        $sql$, jsonb_build_object('family', p_watch.family, 'group', p_watch.group_by)) end))
$$;
--;
comment on function recovery._guard_sql(recovery.watch) is
    'The condition for a guarded row: an active fuse on it or on its group, with a process that is not known dead.';
--;
revoke all on function recovery._guard_sql(recovery.watch) from public;
--;
-- sql/fuse/_has_fuses.sql
create or replace function recovery._has_fuses(p_family text)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from recovery.fuse as f where f.family = p_family)
$$;
--;
comment on function recovery._has_fuses(text) is
    'Whether any fuse burns in a family: only then do its statements look for guards.';
--;
revoke all on function recovery._has_fuses(text) from public;
--;
-- sql/fuse/cancel_fuse.sql
create or replace function recovery.cancel_fuse(p_fuse bigint)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from recovery.fuse as f where f.id = p_fuse;
    return found;
end
$$;
--;
comment on function recovery.cancel_fuse(bigint) is
    'Puts a fuse out, at the stop of its work. False if it was not there any more.';
--;
revoke all on function recovery.cancel_fuse(bigint) from public;
--;
-- sql/fuse/extend_fuse.sql
create or replace function recovery.extend_fuse(p_fuse bigint, p_ttl interval default null)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_expires timestamptz;
begin
    if p_ttl is not null then
        perform recovery._check_ttl(p_ttl);
    end if;
    -- A burnt-out fuse cannot be brought back: its unit may be closing at this moment. One whose time is over is burnt
    -- out only once a sweep has found that.
    update recovery.fuse as f
    set expires = recovery._now() + coalesce(p_ttl, f.ttl), looked_at = null
    where f.id = p_fuse and f.process_dead is null
        and not exists (select from recovery.fuse_state as s where s.id = f.id and s.burnt)
    returning f.expires into v_expires;
    if not found then
        perform recovery._fail('RC012',
            format('fuse %s is not active: it burnt out, was cancelled, or its process died',
            coalesce(p_fuse::text, 'null')),
            'The work may have been closed; look at its row before you go on.');
    end if;
    return v_expires;
end
$$;
--;
comment on function recovery.extend_fuse(bigint, interval) is
    'Lets a fuse burn for its ttl (or another) from now; as often as you like, there is no fixed end. RC012 if it '
    'burnt out, was cancelled, or its process died.';
--;
revoke all on function recovery.extend_fuse(bigint, interval) from public;
--;
-- sql/fuse/extend_fuses.sql
create or replace function recovery.extend_fuses(p_fuses bigint[])
returns table (fuse bigint, until timestamptz)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with active as (
        select f.id, f.expires from recovery.fuse as f
        where f.id = any(p_fuses) and f.process_dead is null
          and not exists (select from recovery.fuse_state as s where s.id = f.id and s.burnt)
    ), free as (
        -- One that a sweep holds at this moment is left as it is: nobody waits, and the next call will tell.
        select f.id from recovery.fuse as f join active as a on a.id = f.id
        where f.process_dead is null order by f.id for no key update of f skip locked
    ), extended as (
        update recovery.fuse as f set expires = recovery._now() + f.ttl, looked_at = null
        from free as e where f.id = e.id
        returning f.id, f.expires
    )
    select p.id, coalesce(e.expires, a.expires)
    from (select distinct u.id from unnest(p_fuses) as u (id) where u.id is not null) as p
    left join active as a on a.id = p.id
    left join extended as e on e.id = p.id
$$;
--;
comment on function recovery.extend_fuses(bigint[]) is
    'recovery.extend_fuse for many fuses: until when each burns now, null if it is out (burnt out, cancelled, or its '
    'process died).';
--;
revoke all on function recovery.extend_fuses(bigint[]) from public;
--;
-- sql/fuse/light_fuse.sql
create or replace function recovery.light_fuse(
    p_watch         text,
    p_key           text,
    p_ttl           interval,
    p_host          text        default null,
    p_pid           integer     default null,
    p_process_start timestamptz default null,
    p_scope         text        default 'row',
    p_nonce         uuid        default null
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit := recovery._check_unit(p_watch, p_scope, p_key, 'fuse');
    v_id   bigint;
begin
    perform recovery._check_ttl(p_ttl);
    perform recovery._check_process(p_host, p_pid, p_process_start, false);
    insert into recovery.fuse as f (family, scope, watch, key, host, pid, process_start, ttl, expires, nonce)
    values (v_unit.family, v_unit.scope, v_unit.watch, v_unit.key,
            p_host, p_pid, p_process_start, p_ttl, recovery._now() + p_ttl, p_nonce)
    -- A driver repeats a call whose answer was lost.
    on conflict (nonce) do update set expires = greatest(f.expires, excluded.expires)
    returning f.id into v_id;
    return v_id;
end
$$;
--;
comment on function recovery.light_fuse(text, text, interval, text, integer, timestamptz, text, uuid) is
    'Lights a fuse on a row or group of a watch and returns its id. A unit may have several, each with its process; '
    'it is guarded while any burns. A call repeated with the same nonce makes no second one. RC008 not watched, '
    'RC010 bad argument.';
--;
revoke all on function recovery.light_fuse(text, text, interval, text, integer, timestamptz, text, uuid) from public;
--;
-- sql/process/_check_process.sql
create or replace function recovery._check_process(p_host text, p_pid bigint, p_start timestamptz, p_whole boolean)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text := recovery._problem_of(p_pid, p_start);
begin
    if octet_length(p_host) > 255 or p_host = '' or p_host ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('host %s is not allowed', quote_literal(left(p_host, 60))),
            'Give 1 to 255 bytes without control characters.');
    elsif v_problem is not null then
        perform recovery._fail('RC010', format('process %s', v_problem),
            'A pid is above 0; its start is a finite time that has passed by the database''s clock (5 minutes are '
            'forgiven).');
    elsif p_whole and (p_host is null or p_pid is null or p_start is null) then
        perform recovery._fail('RC010',
            format('a process needs its host (%s), its pid (%s) and the time at which it started (%s)',
            coalesce(p_host, 'null'), coalesce(p_pid::text, 'null'), coalesce(p_start::text, 'null')),
            'A pid alone may belong to another process tomorrow, or on another host.');
    end if;
end
$$;
--;
comment on function recovery._check_process(text, bigint, timestamptz, boolean) is
    'Refuses what no process can be, where it enters: RC010. p_whole: host, pid and start are all needed.';
--;
revoke all on function recovery._check_process(text, bigint, timestamptz, boolean) from public;
--;
-- sql/process/_is_process_in_use.sql
create or replace function recovery._is_process_in_use(p_process recovery.process)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row record;
begin
    if exists (
        with recursive heirs (epoch) as (
            select p_process.server_epoch
            union
            select s.heir from heirs as h join recovery.server as s on s.epoch = h.epoch where s.heir is not null
        )
        select from heirs as h join recovery.server as s on s.epoch = h.epoch
        where s.ended is null and s.epoch <> p_process.server_epoch
    ) then
        return true;
    end if;
    -- The start time is not compared: the same process may have been read twice, a little apart.
    if exists (
        select from recovery.fuse_state as f
        where f.guards
          and (f.host = p_process.host and f.pid = p_process.pid
               or f.family = p_process.family and f.scope = p_process.scope and f.key = p_process.key
                  and (f.scope = 'group' or f.watch = p_process.watch))
    ) then
        return true;
    end if;
    select r.o_owner, r.o_open, r.o_guarded into v_row from recovery._row_of_process(p_process) as r;
    return coalesce(v_row.o_open, false) and (v_row.o_guarded or exists (
        select from recovery.server as s
        where s.epoch = v_row.o_owner and s.epoch <> p_process.server_epoch and s.ended is null));
end
$$;
--;
comment on function recovery._is_process_in_use(recovery.process) is
    'Whether the work of a process goes on without the epoch that started it: an heir or another live server has it, '
    'or an active fuse guards the process or its unit.';
--;
revoke all on function recovery._is_process_in_use(recovery.process) from public;
--;
-- sql/process/_problem_of.sql
create or replace function recovery._problem_of(p_pid bigint, p_start timestamptz, p_until timestamptz default null)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The clocks of two machines differ: a start a little ahead of ours is one that has passed.
    select case
        when p_pid <= 0 then format('pid %s is not above 0', p_pid)
        when not isfinite(p_start) then format('start %s is not finite', p_start)
        when p_start > greatest(clock_timestamp(), recovery._now()) + interval '5 minutes'
            then format('start %s is in the future', p_start)
        when not isfinite(p_until) then format('end %s is not finite', p_until) end
$$;
--;
comment on function recovery._problem_of(bigint, timestamptz, timestamptz) is
    'What is impossible about a process (pid, start) or a fuse (its end), in words; null: nothing.';
--;
revoke all on function recovery._problem_of(bigint, timestamptz, timestamptz) from public;
--;
-- sql/process/_row_of_process.sql
create or replace function recovery._row_of_process(
    p_process recovery.process, out o_group text, out o_owner bigint, out o_open boolean, out o_guarded boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_found jsonb;
    v_wait  text := current_setting('lock_timeout');
begin
    select w.* into v_watch from recovery._attached_watches() as w where p_process.scope = 'row'
        and w.name = p_process.watch;
    if not found then
        return;
    end if;
    v_task.keys := recovery._key_parts(v_watch, p_process.key);
    -- A table that is being altered must not hold up a boot.
    perform set_config('lock_timeout', '1s', true);
    -- By the columns of the primary key, each in its own type: that is one probe of its index.
    select f.* into v_found from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        select jsonb_build_array(({group})::text, r.server_epoch, coalesce(({open}), false), {guarded})
        from {relation} as r
        where {key_is}
        $sql$, jsonb_build_object(
        'group', coalesce(v_watch.group_by, 'null'),
        'open', v_watch.open,
        'guarded', recovery._guard_sql(v_watch),
        'relation', v_watch.relation,
        'key_is', recovery._key_sql(v_watch, 'equal'))), v_task) as f;
    o_group := v_found ->> 0;
    o_owner := v_found ->> 1;
    o_open := v_found ->> 2;
    o_guarded := v_found ->> 3;
    perform set_config('lock_timeout', v_wait, true);
exception
    when data_exception then
        null;  -- a key that no row can have
    when others then
        raise warning 'the row % of "%" cannot be looked at: %', p_process.key, p_process.watch, sqlerrm;
        o_open := true;
        o_guarded := true;
end
$$;
--;
comment on function recovery._row_of_process(recovery.process) is
    'The row that a process works on as it is now: its group, its owner, whether it is open, whether a fuse guards '
    'it. All null if there is no such row; if it cannot be looked at, it counts as guarded.';
--;
revoke all on function recovery._row_of_process(recovery.process) from public;
--;
-- sql/process/host_processes.sql
create or replace function recovery.host_processes(p_host text)
returns table (pid integer, process_start timestamptz)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.pid, s.process_start from recovery.server as s
    where s.ended is null and s.host = p_host and s.pid is not null and s.process_dead is null
      and recovery._problem_of(s.pid, s.process_start) is null
    union
    select f.pid, f.process_start from recovery.fuse as f
    where f.host = p_host and f.pid is not null and f.process_dead is null
      and recovery._problem_of(f.pid, f.process_start) is null
$$;
--;
comment on function recovery.host_processes(text) is
    'Processes on a host that guard or own something: a sweeper there looks whether they live. None that '
    'recovery.problem lists: no client could read them.';
--;
revoke all on function recovery.host_processes(text) from public;
--;
-- sql/process/orphaned_processes.sql
create or replace function recovery.orphaned_processes(p_host text, p_epoch bigint default null)
returns setof recovery.process
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select p.* from recovery.process as p
    where p.host = p_host and recovery._problem_of(p.pid, p.process_start) is null
      and case when p_epoch is not null then p.server_epoch = p_epoch
               else not exists (select from recovery.server as s where s.epoch = p.server_epoch and s.ended is null) end
      and not recovery._is_process_in_use(p)
    order by p.id
$$;
--;
comment on function recovery.orphaned_processes(text, bigint) is
    'The processes on a host whose server has ended (or those of one epoch, ended or not), and that nobody goes on '
    'with: no heir, no other server that took the row over, no active fuse on the process or its unit.';
--;
revoke all on function recovery.orphaned_processes(text, bigint) from public;
--;
-- sql/process/prune_processes.sql
create or replace function recovery.prune_processes(p_age interval default '7 days')
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    if p_age is null or p_age < interval '1 hour' then
        perform recovery._fail('RC010', format('age %s is not allowed', coalesce(p_age::text, 'null')),
            'Give an interval of at least 1 hour.');
    end if;
    -- Long ended, or forgotten by recovery.server altogether; what an heir or an adopter goes on with stays.
    delete from recovery.process as p
    where p.registered < recovery._now() - p_age
      and not exists (select from recovery.server as s where s.epoch = p.server_epoch
          and (s.ended is null or s.ended >= recovery._now() - p_age))
      and not recovery._is_process_in_use(p);
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
--;
comment on function recovery.prune_processes(interval) is
    'Forgets processes of servers that ended longer ago than that: their host (a container) did not come back to '
    'look. Returns how many. RC010 for less than 1 hour.';
--;
revoke all on function recovery.prune_processes(interval) from public;
--;
-- sql/process/report_processes.sql
create or replace function recovery.report_processes(
    p_host text, p_pids integer[], p_starts timestamptz[], p_alive boolean[]
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now  timestamptz := recovery._now();
    v_dead bigint;
begin
    if p_host is null or p_pids is null or p_starts is null or p_alive is null
       or cardinality(p_pids) <> cardinality(p_starts) or cardinality(p_pids) <> cardinality(p_alive)
       or array_position(p_pids, null) is not null or array_position(p_alive, null) is not null then
        perform recovery._fail('RC010',
            'a report of processes needs their host and, for each, a pid, its start and whether it lives',
            'Give three arrays of one length; only a start may be null.');
    end if;
    perform recovery._check_process(p_host, null, null, false);
    perform recovery._check_process(p_host, r.pid, r.start, false) from unnest(p_pids, p_starts) as r (pid, start);
    -- Nobody is waited for: whoever holds a row is about to say something newer, and the next look comes soon. Who was
    -- seen a moment ago is not written again. (A sighting in the future is from before the clock went back.)
    with seen as (
        select r.pid, r.start, bool_or(r.alive) as alive from unnest(p_pids, p_starts, p_alive) as r (pid, start, alive)
            group by r.pid, r.start
    ), servers as (
        select s.epoch, r.alive from recovery.server as s join seen as r on r.pid = s.pid
            and r.start is not distinct from s.process_start
        where s.ended is null and s.host = p_host and s.process_dead is null
          and (not r.alive or (s.process_seen between v_now - interval '1 second' and v_now) is not true)
        order by s.epoch for no key update of s skip locked
    ), noted_servers as (
        update recovery.server as s
        set process_dead = case when not l.alive then v_now end,
            process_seen = case when l.alive then v_now else s.process_seen end
        from servers as l where s.epoch = l.epoch
        returning s.process_dead
    ), fuses as (
        select f.id, r.alive from recovery.fuse as f join seen as r on r.pid = f.pid
            and r.start is not distinct from f.process_start
        where f.host = p_host and f.process_dead is null
          and (not r.alive or (f.process_seen between v_now - greatest(interval '1 second', f.ttl / 4)
              and v_now) is not true)
        order by f.id for no key update of f skip locked
    ), noted_fuses as (
        update recovery.fuse as f
        set process_dead = case when not l.alive then v_now end,
            process_seen = case when l.alive then v_now else f.process_seen end
        from fuses as l where f.id = l.id
        returning f.process_dead
    )
    select count(n.process_dead) into v_dead
        from (select * from noted_servers union all select * from noted_fuses) as n;
    return v_dead;
end
$$;
--;
comment on function recovery.report_processes(text, integer[], timestamptz[], boolean[]) is
    'Evidence from the processes'' own host: each is alive, or dead (gone, or its pid belongs to a process that '
    'started at another time). Returns how many servers and fuses were found dead. RC010 if one cannot be.';
--;
revoke all on function recovery.report_processes(text, integer[], timestamptz[], boolean[]) from public;
--;
-- sql/process/track_process.sql
create or replace function recovery.track_process(
    p_epoch         bigint,
    p_token         uuid,
    p_watch         text,
    p_key           text,
    p_scope         text,
    p_host          text,
    p_pid           integer,
    p_process_start timestamptz
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit;
    v_id   bigint;
begin
    -- Holds the epoch's lock until the commit: what is registered here is visible to whoever ends it.
    perform recovery.assert_live(p_epoch);
    if not exists (select from recovery.server as s where s.epoch = p_epoch and s.token = p_token) then
        perform recovery._fail('RC003', format('epoch %s belongs to another boot: the token does not match', p_epoch),
            'Give the token that recovery.boot returned with the epoch.');
    end if;
    v_unit := recovery._check_unit(p_watch, p_scope, p_key, 'process');
    perform recovery._check_process(p_host, p_pid, p_process_start, true);
    if p_pid = 1 then
        perform recovery._fail('RC010', 'pid 1 is not allowed', 'It is no process that a server has started.');
    end if;
    -- Repeating it, after an answer that was lost, finds the same entry.
    insert into recovery.process as p (server_epoch, family, scope, watch, key, host, pid, process_start)
    values (p_epoch, v_unit.family, v_unit.scope, v_unit.watch, v_unit.key, p_host, p_pid, p_process_start)
    on conflict (
        server_epoch, family, scope, key, (case scope when 'row' then watch end), host, pid, process_start
    ) do update set registered = clock_timestamp()
    returning p.id into v_id;
    return v_id;
end
$$;
--;
comment on function recovery.track_process(bigint, uuid, text, text, text, text, integer, timestamptz) is
    'Registers a process that does a row or group of a watch for a live epoch, and returns its number. '
    'RC001, RC002, RC003 not that epoch''s; RC008 not watched, RC010 bad argument.';
--;
revoke all on function recovery.track_process(bigint, uuid, text, text, text, text, integer, timestamptz) from public;
--;
-- sql/process/untrack_process.sql
create or replace function recovery.untrack_process(p_id bigint)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from recovery.process as p where p.id = p_id;
    return found;
end
$$;
--;
comment on function recovery.untrack_process(bigint) is
    'Forgets a process, at the end of its work. False if it was not there any more.';
--;
revoke all on function recovery.untrack_process(bigint) from public;
--;
-- sql/process/work_processes.sql
create or replace function recovery.work_processes(p_watch text, p_scope text, p_key text)
returns setof recovery.process
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit   recovery.unit := recovery._unit_of(p_watch, p_scope, p_key, 'process');
    v_groups text[] := array[p_key];
begin
    if p_scope = 'row' then
        return query select p.* from recovery.process as p
            where p.family = v_unit.family and p.scope = 'row' and p.watch = p_watch and p.key = p_key
              and recovery._problem_of(p.pid, p.process_start) is null order by p.id;
        return;
    end if;
    if not exists (select from recovery.process as p where p.family = v_unit.family) then
        return;
    end if;
    begin
        v_groups := recovery._group_tree(v_unit.family, v_groups, false);
    exception when data_exception then
        null;  -- a key that no group can have
    end;
    return query select p.* from recovery.process as p
        where p.family = v_unit.family and recovery._problem_of(p.pid, p.process_start) is null
          and case p.scope when 'group' then p.key = any (v_groups)
                           else (select r.o_group from recovery._row_of_process(p) as r) = any (v_groups) end
        order by p.id;
end
$$;
--;
comment on function recovery.work_processes(text, text, text) is
    'The processes that do a row, or a group with all its rows and descendant groups, whoever started them. '
    'RC008 not watched, RC010 bad scope.';
--;
revoke all on function recovery.work_processes(text, text, text) from public;
--;
-- sql/event/_announce_events.sql
create or replace function recovery._announce_events(p_from bigint, p_to bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first  bigint;
    v_last   bigint;
    v_count  bigint;
    v_events jsonb;
begin
    if p_from is null then
        return;
    end if;
    if p_to - p_from < 2100 then
        select o.id into v_first from recovery.outbox as o where o.id >= p_from order by o.id limit 1;
        select o.id + coalesce(cardinality(o.keys), 1) - 1 into v_last
        from recovery.outbox as o where o.id <= p_to order by o.id desc limit 1;
        select count(*), jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind) order by e.id)
        into v_count, v_events
        from (
            select o.id + n.n as id, o.kind
            from (select o.* from recovery.outbox as o where o.id between p_from and p_to order by o.id limit 21) as o
            cross join lateral generate_series(0, coalesce(cardinality(o.keys), 1) - 1) as n (n)
            limit 21
        ) as e;
        if v_count > 20 then
            v_count := null;
            v_events := null;
        end if;
    end if;
    perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
    perform setval('recovery.bell_event', p_to);
    perform pg_notify('recovery', jsonb_strip_nulls(jsonb_build_object(
        'from', coalesce(v_first, p_from), 'to', coalesce(v_last, p_to), 'count', v_count, 'events', v_events))::text);
end
$$;
--;
comment on function recovery._announce_events(bigint, bigint) is
    'NOTIFY for a range of events: ids and kinds of at most 20, else only the range. Never user data: every role of '
    'the database can LISTEN.';
--;
revoke all on function recovery._announce_events(bigint, bigint) from public;
--;
-- sql/event/_announce_silent.sql
create or replace function recovery._announce_silent()
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rung bigint;
    v_last bigint;
begin
    select last_value into v_rung from recovery.bell_event;
    select max(id) + 99 into v_last from recovery.outbox;
    if v_last is null or v_last <= v_rung then
        return false;
    end if;
    perform recovery._announce_events(v_rung + 1, v_last);
    return true;
end
$$;
--;
comment on function recovery._announce_silent() is
    'Announces events that were written within 50 ms of another NOTIFY and so stayed silent; called by heartbeat and '
    'sweep. True if it rang.';
--;
revoke all on function recovery._announce_silent() from public;
--;
-- sql/event/_announce_written.sql
create or replace function recovery._announce_written(p_kind text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- It reads no event: a transaction that goes on for long would hold the partitions that are to be emptied.
    if current_setting('recovery.notify', true) is distinct from 'off' then
        perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
        perform pg_notify('recovery', jsonb_build_object('from', v.id, 'to', v.id, 'count', 1, 'events',
            jsonb_build_array(jsonb_build_object('id', v.id, 'kind', p_kind)))::text)
        from (select currval('recovery.outbox_id_seq') as id) as v
        where p_kind in ('opened', 'reopened', 'adopted', 'closed', 'deleted');
    end if;
end
$$;
--;
comment on function recovery._announce_written(text) is
    'NOTIFY for the event of that kind that this transaction has just written; called by a trigger whose last ring is '
    '50 ms old.';
--;
revoke all on function recovery._announce_written(text) from public;
--;
-- sql/event/_check_after.sql
create or replace function recovery._check_after(p_after bigint)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_after is null or p_after < 0 then
        perform recovery._fail('RC010', format('after %s is not allowed', coalesce(p_after::text, 'null')),
            'Give the id of an event, or 0 for the first one that is kept.');
    end if;
    -- A higher one than there are belongs to a state of the database that was lost. What is dropped is no gap.
    return greatest(least(p_after, coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0) + 99),
                    (select f.id from recovery.event_floor as f));
end
$$;
--;
comment on function recovery._check_after(bigint) is
    'The id after which to read: as it was given, but not above the last event that there is, nor among those that '
    'were dropped. RC010: null or negative.';
--;
revoke all on function recovery._check_after(bigint) from public;
--;
-- sql/event/_check_kinds.sql
create or replace function recovery._check_kinds(p_kinds text[])
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_known   constant text[] := array['opened', 'reopened', 'closed', 'requeued', 'deleted', 'adopted', 'failed',
                                       'idle', 'cancel', 'broken', 'repaired', 'gap'];
    v_unknown text;
begin
    select k.kind into v_unknown from unnest(p_kinds) as k (kind) where k.kind <> all (c_known) limit 1;
    if found then
        perform recovery._fail('RC010', format('there are no events of kind %s', quote_literal(left(v_unknown, 60))),
            format('Kinds are %s.', array_to_string(c_known, ', ')));
    end if;
end
$$;
--;
comment on function recovery._check_kinds(text[]) is
    'Refuses kinds of events that there are not: who waits for them would wait for ever. RC010.';
--;
revoke all on function recovery._check_kinds(text[]) from public;
--;
-- sql/event/_check_limit.sql
create or replace function recovery._check_limit(p_limit integer)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_limit is null or p_limit not between 1 and 100000 then
        perform recovery._fail('RC010', format('limit %s is not allowed', coalesce(p_limit::text, 'null')),
            'Give a number of events from 1 to 100000.');
    end if;
end
$$;
--;
comment on function recovery._check_limit(integer) is 'Refuses a number of events that cannot work: RC010.';
--;
revoke all on function recovery._check_limit(integer) from public;
--;
-- sql/event/_create_outbox.sql
create or replace function recovery._create_outbox(p_outbox integer, p_family text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names  text;
    v_name   text;
    v_column record;
begin
    select string_agg(quote_literal(w.name), ', ' order by w.id) into v_names from recovery.watch as w
        where w.family = p_family;
    -- What a view checks is made ready anew by each statement, for the outbox and again for its partition. So writers,
    -- who append one event at a time, have one that checks little.
    execute recovery._render_sql($sql$
        create or replace view recovery.outbox_{outbox} as
        select e.at, e.server_epoch, e.watch, e.kind, e.topic, e.key, e.group_key, e.reason, e.detector, e.old, e.new,
               e.keys, e.group_keys
        from recovery.outbox as e
        where e.watch in ({names})
          and case when e.keys is null then e.key is not null and e.group_keys is null
                   else e.key is null and e.group_key is null and array_ndims(e.keys) = 1
                       and cardinality(e.keys) <= 100 end
        with check option;
        create or replace view recovery.outbox_{outbox}_single as
        select e.at, e.server_epoch, e.watch, e.kind, e.topic, e.key, e.group_key, e.reason, e.detector, e.old, e.new
        from recovery.outbox as e
        where e.watch in ({names}) and e.key is not null
        with check option;
        $sql$, jsonb_build_object('outbox', p_outbox, 'names', v_names));
    execute format('comment on view recovery.outbox_%s is %L', p_outbox, format(
        'Through this the runner of family "%s" appends events of its watches, and no others.', p_family));
    execute format('comment on view recovery.outbox_%s_single is %L', p_outbox, format(
        'As recovery.outbox_%s, one event in a record: for the triggers of family "%s".', p_outbox, p_family));
    foreach v_name in array recovery._outbox_views(p_outbox) loop
        for v_column in
            select a.attname as name, col_description('recovery.outbox'::regclass, e.attnum) as text
            from pg_attribute as a join pg_attribute as e on e.attname = a.attname
            where a.attrelid = v_name::regclass and e.attrelid = 'recovery.outbox'::regclass and a.attnum > 0
        loop
            execute format('comment on column %s.%I is %L', v_name, v_column.name, v_column.text);
        end loop;
    end loop;
end
$$;
--;
comment on function recovery._create_outbox(integer, text) is
    'Makes the views by which a family''s runner may insert events: those of the family''s watches.';
--;
revoke all on function recovery._create_outbox(integer, text) from public;
--;
-- sql/event/_drop_outbox.sql
create or replace function recovery._drop_outbox(p_outbox integer)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('drop view if exists %s', array_to_string(recovery._outbox_views(p_outbox), ', '));
end
$$;
--;
comment on function recovery._drop_outbox(integer) is 'Drops the views by which a family''s runner inserted events.';
--;
revoke all on function recovery._drop_outbox(integer) from public;
--;
-- sql/event/_empty_slot.sql
create or replace function recovery._empty_slot(p_slot integer)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
/* Whoever writes is in another partition. But each reader holds all of them while it reads, and with many there is
   hardly a moment without one: so it waits for those that read now, and those that come meanwhile wait for it. */
begin
    execute format('lock table recovery.outbox_slot_%s in access exclusive mode', p_slot);
    execute format('truncate recovery.outbox_slot_%s', p_slot);
    return true;
exception when lock_not_available or deadlock_detected then
    return false;
end
$$;
--;
comment on function recovery._empty_slot(integer) is
    'Empties a partition of the outbox that nobody writes any more; false if somebody has held it for 100 ms.';
--;
revoke all on function recovery._empty_slot(integer) from public;
--;
-- sql/event/_find_consumer.sql
create or replace function recovery._find_consumer(p_name text)
returns recovery.consumer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_consumer recovery.consumer;
begin
    select c.* into v_consumer from recovery.consumer as c where c.name = p_name for no key update;
    if not found then
        perform recovery._fail('RC014',
            format('there is no consumer %s', coalesce(quote_literal(left(p_name, 200)), 'null')),
            'Make it with recovery.create_consumer(); recovery.consumer_status lists what there is.');
    end if;
    return v_consumer;
end
$$;
--;
comment on function recovery._find_consumer(text) is 'The row of a consumer, locked. RC014: there is none.';
--;
revoke all on function recovery._find_consumer(text) from public;
--;
-- sql/event/_next_page.sql
create or replace function recovery._next_page(p_page bigint)
returns bigint
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select greatest(p_page + 1, (date_part('epoch', clock_timestamp()) * 1000000)::bigint)
$$;
--;
comment on function recovery._next_page(bigint) is
    'The number of the fetch after that one. By the clock: a failover that has lost the last fetches does not give '
    'their numbers out again, so nobody acknowledges by an old receipt what he has not had.';
--;
revoke all on function recovery._next_page(bigint) from public;
--;
-- sql/event/_outbox_views.sql
create or replace function recovery._outbox_views(p_outbox integer)
returns text[]
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array[format('recovery.outbox_%s', p_outbox), format('recovery.outbox_%s_single', p_outbox)]
$$;
--;
comment on function recovery._outbox_views(integer) is
    'The views by which a family''s runner may insert events.';
--;
revoke all on function recovery._outbox_views(integer) from public;
--;
-- sql/event/_retain_events.sql
create or replace function recovery._retain_events()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* A partition of the ring takes two billion ids, or half the time that events are kept. When its turn comes again, or
   the newest event in it is old enough, it is emptied, if nobody holds it for long: whoever writes is in another
   partition. What an active consumer has not had stays, unless drop_unread is set. */
declare
    c_block  constant bigint := 2000000000;
    v_keep   constant interval := recovery.get_setting('event_retention')::interval;
    v_last   bigint := pg_sequence_last_value('recovery.outbox_id_seq');
    v_begun  timestamptz;
    v_unread bigint;
    v_slots  integer[];
    v_newest bigint[];
    v_at     timestamptz[];
begin
    if v_last is null then
        return;
    end if;
    select o.at into v_begun from recovery.outbox as o
    where o.id >= v_last / c_block * c_block order by o.id limit 1;
    -- Whoever takes an id meanwhile takes it below: so many more could not be taken in the moment between.
    if v_begun < clock_timestamp() - v_keep / 2 and v_last % c_block < c_block / 10 * 9 then
        v_last := (v_last / c_block + 1) * c_block;
        perform setval('recovery.outbox_id_seq', v_last);
    end if;
    if recovery.get_setting('drop_unread') is distinct from 'true' then
        select min(coalesce(lower(c.gaps) - 1, c.newest)) into v_unread
        from recovery.consumer as c where c.seen > clock_timestamp() - c.expires;
    end if;
    -- Looked up at once: a query that goes on would be a reader in the way.
    select array_agg(n.slot order by n.id), array_agg(n.id order by n.id), array_agg(n.at order by n.id)
    into v_slots, v_newest, v_at
    from (
        (select 0 as slot, o.id, o.at from recovery.outbox_slot_0 as o order by o.id desc limit 1)
        union all
        (select 1, o.id, o.at from recovery.outbox_slot_1 as o order by o.id desc limit 1)
        union all
        (select 2, o.id, o.at from recovery.outbox_slot_2 as o order by o.id desc limit 1)
        union all
        (select 3, o.id, o.at from recovery.outbox_slot_3 as o order by o.id desc limit 1)
    ) as n;
    for v_n in 1 .. coalesce(cardinality(v_slots), 0) loop
        exit when v_newest[v_n] / c_block = v_last / c_block
            or v_newest[v_n] + 99 > v_unread
            or (v_at[v_n] < clock_timestamp() - v_keep
                or v_slots[v_n] = (v_last / c_block + 1) % 4 and v_last % c_block > c_block / 2) is not true;
        -- If not: somebody reads for long, or a transaction of long ago has yet to end.
        exit when not recovery._empty_slot(v_slots[v_n]);
        update recovery.event_floor as f set id = greatest(f.id, v_newest[v_n] + 99), at = clock_timestamp();
    end loop;
end
$$;
--;
comment on function recovery._retain_events() is
    'Part of a sweep: begins the next partition of the events in good time, and empties those that are older than '
    'event_retention or whose turn comes again.';
--;
revoke all on function recovery._retain_events() from public;
--;
-- sql/event/_scan.sql
create or replace function recovery._scan(
    p_after bigint, p_gaps int8multirange, p_limit integer, p_wanted recovery.event_filter, p_settled bigint,
    out o_events recovery.event_row[], out o_newest bigint, out o_gaps int8multirange, out o_full boolean
)
returns record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
/* g  records that have appeared in the gaps; one of which a part is done begins before its gap
   r  records above p_after, from the one in which it is, and how many events stand before each of them
   s  as many of them as it takes to reach the limit, and the one before each. None if there may be more in the gaps:
      what stands above must not come before what it followed

   One statement, and so one look: what is not in it is a gap. */
declare
    v_rows  integer := p_limit + 2;
    v_found record;
begin
    -- Who follows finds nothing, or the next few: for these a small look does, of the same moment.
    if p_gaps = '{}' and p_after % 100 = 99 then
        select array_agg(row(o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason,
                             o.detector, o.old, o.new)::recovery.event_row order by o.id) as events,
               count(*) as count, max(o.id) as last, bool_and(o.keys is null) as single,
               sum(coalesce(cardinality(o.keys), 1)) as events_in_them
        into v_found
        from (select * from recovery.outbox as o where o.id > p_after order by o.id limit 10) as o;
        if v_found.count = 0
            or p_wanted is null and v_found.single and v_found.last = p_after - 99 + 100 * v_found.count
               and v_found.count < least(10, p_limit)
        then
            o_events := v_found.events;
            o_newest := coalesce(v_found.last + 99, p_after);
            o_gaps := '{}';
            o_full := false;
            return;
        end if;
        if v_found.events_in_them >= p_limit then
            v_rows := 12;  -- full ones: these ten, the one before, and one to know that there is more
        end if;
    end if;
    with g as materialized (
        select o.*, lower(m.missing) - 1 as after
        from unnest(p_gaps) as m (missing)
        cross join lateral (
            select * from recovery.outbox as o
            where o.id > lower(m.missing) - 100 and o.id < upper(m.missing) order by o.id limit p_limit) as o
        order by o.id limit p_limit
    ), r as materialized (
        select o.*, sum(o.n) over (order by o.id rows unbounded preceding) - o.n as before
        from (
            select o.*, greatest(0, coalesce(cardinality(o.keys), 1) - greatest(0, p_after - o.id + 1)) as n
            from recovery.outbox as o
            where o.id > p_after - 100 order by o.id limit v_rows
        ) as o
    ), s as materialized (
        select r.*, lag(r.id, 1, p_after - p_after % 100) over (order by r.id) as previous
        from r where r.before < p_limit and (select count(*) from g) < p_limit
    ), o as not materialized (
        select s.id, s.at, s.server_epoch, s.watch, s.kind, s.topic, s.key, s.group_key, s.reason, s.detector,
               s.old, s.new, s.keys, s.group_keys, p_after as after from s
        union all
        select g.id, g.at, g.server_epoch, g.watch, g.kind, g.topic, g.key, g.group_key, g.reason, g.detector,
               g.old, g.new, g.keys, g.group_keys, g.after from g
    ), e as (
        select row(o.id + o.n - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason,
                   o.detector, o.old, o.new)::recovery.event_row as event, o.id, o.n
        from (
            select o.*, 1::bigint as n from o where o.keys is null
            union all
            select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, k.key, k.group_key, o.reason, o.detector,
                   o.old, o.new, null, null, o.after, k.n
            from o
            cross join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
            where o.keys is not null
        ) as o
        where o.id + o.n - 1 > o.after
          and (p_wanted is null
               or (p_wanted.watch is null or array_position(p_wanted.watch, o.watch) is not null)
              and (p_wanted.kind is null or array_position(p_wanted.kind, o.kind) is not null)
              and (p_wanted.topic is null or array_position(p_wanted.topic, o.topic) is not null)
              and (p_wanted.reason is null or array_position(p_wanted.reason, o.reason) is not null)
              and (p_wanted.epoch is null or array_position(p_wanted.epoch, o.server_epoch) is not null)
              and (p_wanted.group_key is null
                   or o.kind = 'gap'  -- of a watch: who follows a group has to know it, too
                   or array_position(p_wanted.group_key, o.group_key) is not null))
    )
    select (select array_agg(e.event order by e.id, e.n) from e) as events,
           coalesce((select max(s.id) + 99 from s), p_after) as newest,
           p_gaps
             + coalesce(
                 (select range_agg(int8range(s.previous + 100, s.id)) from s where s.id > s.previous + 100), '{}')
             - coalesce((select range_agg(int8range(g.id, g.id + 100)) from g), '{}') as gaps,
           (select count(*) from r) > (select count(*) from s) or (select count(*) from g) >= p_limit as more,
           case when (select count(*) from g) >= p_limit then (select max(g.id) from g) end as looked
    into v_found;
    o_events := v_found.events;
    o_newest := v_found.newest;
    o_full := v_found.more;
    -- What was rolled back. If the look was cut at the limit, it says nothing of the gaps that follow.
    o_gaps := v_found.gaps - int8multirange(int8range(null, least(coalesce(p_settled, 0), v_found.looked), '[]'));
end
$$;
--;
comment on function recovery._scan(bigint, int8multirange, integer, recovery.event_filter, bigint) is
    'The events above p_after and in the gaps that are visible now, about p_limit of them, those that are wanted; '
    'where the next look begins (newest, at the end of a record), the gaps below it without those up to p_settled, '
    'which recovery._settled() gave before, and whether there is more.';
--;
revoke all on function recovery._scan(bigint, int8multirange, integer, recovery.event_filter, bigint) from public;
--;
-- sql/event/_send_cancel.sql
create or replace function recovery._send_cancel(
    p_epoch bigint, p_unit recovery.unit, p_reason text, p_detector text, p_detail jsonb
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_event bigint;
begin
    perform pg_current_xact_id();  -- before the event's id: see recovery._settled
    insert into recovery.outbox (server_epoch, watch, kind, key, group_key, reason, detector, new)
    values (p_epoch, p_unit.watch, 'cancel', p_unit.key, case p_unit.scope when 'group' then p_unit.key end,
            p_reason, p_detector, p_detail || jsonb_build_object('scope', p_unit.scope, 'watch', p_unit.watch))
    returning id into v_event;
    perform recovery._announce_events(v_event, v_event);
end
$$;
--;
comment on function recovery._send_cancel(bigint, recovery.unit, text, text, jsonb) is
    'Tells the owner of a unit to stop it: an event of kind cancel, announced.';
--;
revoke all on function recovery._send_cancel(bigint, recovery.unit, text, text, jsonb) from public;
--;
-- sql/event/_settled.sql
create or replace function recovery._settled()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Whoever took an event's id had its transaction id before. So: look up the last id, then take a transaction id, the
   mark; once every transaction below the mark has ended, what is not visible up to that id was rolled back. The
   snapshot's own xmax would not do as a mark: it ends at the newest transaction that has finished.

   Marks stay in a table, for beside others that write there is never a moment without an older transaction; and so
   that a standby, which can take none, knows them. Who reads by the answer must look at the events afterwards. */
declare
    v_xmin    xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_settled bigint;
    v_marked  bigint;
    v_at      timestamptz;
    v_last    bigint;
    v_xid     xid8;
begin
    select max(m.id) filter (where m.xid <= v_xmin), max(m.id), max(m.at) into v_settled, v_marked, v_at
    from recovery.event_mark as m;
    if pg_is_in_recovery() or current_setting('transaction_read_only') = 'on'
        or pg_current_xact_id_if_assigned() is not null
        or v_at between clock_timestamp() - interval '20 milliseconds' and clock_timestamp()
    then
        return coalesce(v_settled, 0);
    end if;
    v_last := coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0);
    if v_last <= coalesce(v_settled, 0) then
        return coalesce(v_settled, 0);
    end if;
    v_last := v_last + 99;  -- the last one in that record
    if v_last > coalesce(v_marked, 0) then
        v_xid := pg_current_xact_id();
        insert into recovery.event_mark (xid, id) values (v_xid, v_last);
        -- One that has served, and so many more that a long transaction does not outlast them all.
        delete from recovery.event_mark as m
        where m.ctid = any (array(
            select l.ctid from recovery.event_mark as l
            where l.xid in (
                select d.xid from (
                    select n.xid, n.id, row_number() over (order by n.id desc) as place
                    from recovery.event_mark as n) as d
                where d.id < v_settled or d.place > 64 and d.place % 2 = 0 and d.id > coalesce(v_settled, 0))
            for update of l skip locked));
        if pg_snapshot_xmin(pg_current_snapshot()) >= v_xid then
            v_settled := v_last;
        end if;
    end if;
    return coalesce(v_settled, 0);
end
$$;
--;
comment on function recovery._settled() is
    'Up to which id no event can appear any more: what is not visible up to there was rolled back. Ask first, then '
    'look. Makes a mark where one is missing, in a transaction that may write and has not written yet.';
--;
revoke all on function recovery._settled() from public;
--;
-- sql/event/_withdraw_deletion.sql
create or replace function recovery._withdraw_deletion(p_watch text, p_key text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    -- The last event of this session and no other: who calls this can take back what it has just said, at most.
    -- By its partition: the others may be emptied meanwhile.
    if p_key is not null then
        v_id := currval('recovery.outbox_id_seq');
        execute format(
            'delete from recovery.outbox_slot_%s as e where e.id = $1 and e.watch = $2 and e.key = $3 '
            'and e.kind = ''deleted'' and e.detector = ''writer''', v_id / 2000000000 % 4)
            using v_id, p_watch, p_key;
    end if;
end
$$;
--;
comment on function recovery._withdraw_deletion(text, text) is
    'A row that was told as deleted a moment ago has moved to another partition: removes that event, which nobody has '
    'seen yet.';
--;
revoke all on function recovery._withdraw_deletion(text, text) from public;
--;
-- sql/event/acknowledge.sql
create or replace function recovery.acknowledge(p_receipt text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parts    constant text[] := regexp_match(p_receipt, '^(.*)\.([0-9]{1,18})\.([0-9]{1,18})$');
    v_id       constant bigint := v_parts[3]::bigint;
    v_consumer recovery.consumer;
    v_done     int8multirange;
begin
    if v_parts is null then
        perform recovery._fail('RC010',
            format('receipt %s is not allowed', coalesce(quote_literal(left(p_receipt, 60)), 'null')),
            'Give the receipt of an event as recovery.fetch() returned it.');
    end if;
    v_consumer := recovery._find_consumer(v_parts[1]);
    if v_consumer.page < v_parts[2]::bigint then
        perform recovery._fail('RC016',
            format('the fetch of consumer %s that gave this receipt was lost in a failover', quote_literal(v_parts[1])),
            'Fetch again: what still exists, and is not acknowledged, comes again.');
    elsif v_consumer.page <> v_parts[2]::bigint then
        perform recovery._fail('RC015',
            format('a newer fetch of consumer %s has taken over', quote_literal(v_parts[1])),
            'Another process reads as this consumer, or this one has fetched again: what is not acknowledged comes '
            'there.');
    end if;
    -- Up to the event it stands as it stood after the fetch, above it as before.
    v_done := int8multirange(int8range(null, v_id, '[]'));
    update recovery.consumer as c
    set newest = case when v_id >= c.page_last then c.page_newest else greatest(c.newest, v_id) end,
        gaps = case when v_id >= c.page_last then c.page_gaps else (c.page_gaps * v_done) + (c.gaps - v_done) end,
        seen = clock_timestamp()
    where c.name = v_parts[1] and c.page_last is not null;
end
$$;
--;
comment on function recovery.acknowledge(text) is
    'This event of a fetch, and all before it in the same fetch, are done. In one transaction with what they led to, '
    'each is done exactly once. RC015: a newer fetch of the consumer has taken over; RC016: this one was lost in a '
    'failover, fetch again; RC014 no such consumer, RC010 not a receipt.';
--;
revoke all on function recovery.acknowledge(text) from public;
--;
-- sql/event/create_consumer.sql
create or replace function recovery.create_consumer(
    p_name    text,
    p_after   bigint   default null,
    p_watch   text[]   default null,
    p_group   text[]   default null,
    p_reason  text[]   default null,
    p_kind    text[]   default null,
    p_topic   text[]   default null,
    p_epoch   bigint[] default null,
    p_expires interval default interval '7 days'
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tail   record;
    v_newest bigint;
    v_gaps   int8multirange := '{}';
begin
    if p_name is null or btrim(p_name) = '' or octet_length(p_name) > 200 or p_name ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010',
            format('consumer name %s is not allowed', coalesce(quote_literal(left(p_name, 60)), 'null')),
            'Give 1 to 200 bytes without control characters.');
    end if;
    perform recovery._check_kinds(p_kind);
    perform recovery._check_interval('expires', p_expires, interval '1 minute', interval '10 years');
    if p_after is not null then
        v_newest := recovery._check_after(p_after);
    elsif not exists (select from recovery.consumer as c where c.name = p_name) then
        select t.newest, t.gaps into v_tail from recovery.tail() as t;
        v_newest := v_tail.newest;
        v_gaps := v_tail.gaps;
    end if;
    insert into recovery.consumer as c (name, wanted, newest, gaps, expires)
    values (p_name, row(p_watch, p_group, p_reason, p_kind, p_topic, p_epoch), coalesce(v_newest, 0),
            v_gaps, p_expires)
    on conflict (name) do update set wanted = excluded.wanted, expires = excluded.expires
    where (c.wanted, c.expires) is distinct from (excluded.wanted, excluded.expires);
    return (select coalesce(lower(c.gaps) - 1, c.newest) from recovery.consumer as c where c.name = p_name);
end
$$;
--;
comment on function recovery.create_consumer(
    text, bigint, text[], text[], text[], text[], text[], bigint[], interval
) is
    'Makes a named consumer whose position the database keeps, and returns the id after which it reads: p_after, or '
    'now. One that exists keeps its position; its filters and expiry become these. It counts as abandoned when it has '
    'not fetched for p_expires. RC010 bad name, id, kind or interval.';
--;
revoke all on function recovery.create_consumer(
    text, bigint, text[], text[], text[], text[], text[], bigint[], interval
) from public;
--;
-- sql/event/drop_consumer.sql
create or replace function recovery.drop_consumer(p_name text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._find_consumer(p_name);
    delete from recovery.consumer as c where c.name = p_name;
end
$$;
--;
comment on function recovery.drop_consumer(text) is
    'Forgets a consumer and its position: events are no longer kept for it. RC014 no such consumer.';
--;
revoke all on function recovery.drop_consumer(text) from public;
--;
-- sql/event/event_range.sql
create or replace function recovery.event_range(p_from bigint, p_to bigint default null)
returns setof recovery.event_row
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select o.id + coalesce(k.n, 1) - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, coalesce(o.key, k.key),
           coalesce(o.group_key, k.group_key), o.reason, o.detector, o.old, o.new
    from recovery.outbox as o
    left join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n) on o.keys is not null
    where o.id > p_from - 100 and (p_to is null or o.id <= p_to)
      and o.id + coalesce(k.n, 1) - 1 >= p_from and (p_to is null or o.id + coalesce(k.n, 1) - 1 <= p_to)
    order by o.id, k.n
$$;
--;
comment on function recovery.event_range(bigint, bigint) is
    'Events with an id from p_from to p_to, in order: by the index, where a search in the view reads them all.';
--;
revoke all on function recovery.event_range(bigint, bigint) from public;
--;
-- sql/event/event_since.sql
create or replace function recovery.event_since(p_at timestamptz)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Ids grow nearly as the clock does: a closing tells one time for all of its batch, and a clock is set. So it looks for
   a minute before. */
declare
    c_slack constant interval := interval '1 minute';
    v_low   bigint;  -- what is at or below is older
    v_high  bigint;  -- what is above is not
    v_id    bigint;
    v_at    timestamptz;
begin
    if p_at is null then
        perform recovery._fail('RC010', 'a time is needed', 'Give a time, or -infinity for all that is kept.');
    end if;
    select f.id into v_low from recovery.event_floor as f;
    select max(o.id) + 99 into v_high from recovery.outbox as o;
    if not isfinite(p_at) then
        return case when p_at < 'infinity' then v_low else greatest(v_low, v_high) end;
    end if;
    while v_high > v_low loop
        -- The next record from the middle on, for ids leave numbers out.
        select o.id, o.at into v_id, v_at from recovery.outbox as o
        where o.id > v_low + (v_high - v_low) / 2 order by o.id limit 1;
        if v_id is null or v_id > v_high or v_at >= p_at - c_slack then
            v_high := v_low + (v_high - v_low) / 2;
        else
            v_low := v_id + 99;
        end if;
    end loop;
    return v_low;
end
$$;
--;
comment on function recovery.event_since(timestamptz) is
    'The id after which the events of that time and later are, with some of the minute before: to read, or to let a '
    'consumer read again, from a time on. -infinity: the last id that is not kept any more. RC010 null.';
--;
revoke all on function recovery.event_since(timestamptz) from public;
--;
-- sql/event/fetch.sql
create or replace function recovery.fetch(p_consumer text, p_limit integer default 1000)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, settled boolean, receipt text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settled  bigint;
    v_floor    bigint;
    v_dropped  boolean;
    v_consumer recovery.consumer;
    v_from     bigint;
    v_gaps     int8multirange;
    v_page     record;
    v_number   bigint;
begin
    perform recovery._check_limit(p_limit);
    if exists (select from recovery.consumer as c where c.name = p_consumer and c.gaps <> '{}') then
        v_settled := recovery._settled();  -- before the lock, which takes a transaction id
    end if;
    v_consumer := recovery._find_consumer(p_consumer);
    v_number := recovery._next_page(v_consumer.page);
    select f.id into v_floor from recovery.event_floor as f;
    v_dropped := v_consumer.newest < v_floor;
    v_from := greatest(v_consumer.newest, v_floor);
    v_gaps := v_consumer.gaps - int8multirange(int8range(null, v_floor, '[]'));
    loop
        select s.* into v_page from recovery._scan(v_from, v_gaps, p_limit, v_consumer.wanted, v_settled) as s;
        v_gaps := v_page.o_gaps;
        exit when v_page.o_events is not null or not v_page.o_full or v_dropped;
        v_from := v_page.o_newest;
    end loop;
    if v_page.o_events is null and not v_dropped then
        -- Nothing to acknowledge. Who polls writes only if something has changed, or once a minute.
        if (v_page.o_newest, v_gaps) is distinct from (v_consumer.newest, v_consumer.gaps)
            or v_consumer.page_last is not null
            or v_consumer.seen < clock_timestamp() - interval '1 minute'
        then
            update recovery.consumer as c
            set newest = v_page.o_newest, gaps = v_gaps, page = v_number, page_last = null,
                page_newest = null, page_gaps = null,
                seen = clock_timestamp()
            where c.name = p_consumer;
        end if;
        return;
    end if;
    update recovery.consumer as c
    set page = v_number, page_last = coalesce((v_page.o_events[cardinality(v_page.o_events)]).id, v_floor),
        page_newest = v_page.o_newest, page_gaps = v_gaps, seen = clock_timestamp()
    where c.name = p_consumer;
    if v_dropped then
        return query
            select v_floor, (select f.at from recovery.event_floor as f), null::bigint, ''::text, 'gap'::text,
                   null::text, ''::text, null::text, 'dropped'::text, 'recovery'::text, null::jsonb,
                   jsonb_build_object('after', v_consumer.newest, 'to', v_floor), true,
                   concat_ws('.', p_consumer, v_number, v_floor);
    end if;
    return query
        select e.*, e.id < coalesce(lower(v_gaps), 9223372036854775807),
               concat_ws('.', p_consumer, v_number, e.id)
        from unnest(v_page.o_events) as e;
end
$$;
--;
comment on function recovery.fetch(text, integer) is
    'Events for a named consumer, about p_limit of them, in order: all that have become visible and that it has not '
    'acknowledged, at once, also those below which others may still appear (settled false). Each has a receipt for '
    'recovery.acknowledge(). Without that they come again. RC014 no such consumer, RC010 bad limit.';
--;
revoke all on function recovery.fetch(text, integer) from public;
--;
-- sql/event/latest.sql
create or replace function recovery.latest(
    p_limit  integer  default 20,
    p_watch  text[]   default null,
    p_group  text[]   default null,
    p_reason text[]   default null,
    p_kind   text[]   default null,
    p_topic  text[]   default null,
    p_epoch  bigint[] default null
)
returns setof recovery.event_row
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._check_limit(p_limit);
    perform recovery._check_kinds(p_kind);
    return query
        select l.*
        from (
            select o.id + coalesce(k.n, 1) - 1 as id, o.at, o.server_epoch, o.watch, o.kind, o.topic,
                   coalesce(o.key, k.key), coalesce(o.group_key, k.group_key) as group_key, o.reason, o.detector, o.old,
                   o.new
            from (
                -- From the end on, so many records in each of which there is at least one.
                select r.* from recovery.outbox as r
                where (p_watch is null or array_position(p_watch, r.watch) is not null)
                  and (p_reason is null or array_position(p_reason, r.reason) is not null)
                  and (p_kind is null or array_position(p_kind, r.kind) is not null)
                  and (p_topic is null or array_position(p_topic, r.topic) is not null)
                  and (p_epoch is null or array_position(p_epoch, r.server_epoch) is not null)
                  and (p_group is null
                       or case when r.group_keys is null then array_position(p_group, r.group_key) is not null
                               else exists (select from unnest(r.group_keys) as g (key)
                                            where array_position(p_group, g.key) is not null) end)
                order by r.id desc limit p_limit
            ) as o
            left join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
                on o.keys is not null
            where p_group is null or array_position(p_group, coalesce(o.group_key, k.group_key)) is not null
            order by o.id desc, k.n desc limit p_limit
        ) as l
        order by l.id;
end
$$;
--;
comment on function recovery.latest(integer, text[], text[], text[], text[], text[], bigint[]) is
    'The newest events that are visible, p_limit of them, in order: to look at, not to follow. Filters as of '
    'recovery.read(). RC010 bad limit or kind.';
--;
revoke all on function recovery.latest(integer, text[], text[], text[], text[], text[], bigint[]) from public;
--;
-- sql/event/move_consumer.sql
create or replace function recovery.move_consumer(p_name text, p_after bigint default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tail   record;
    v_newest bigint;
    v_gaps   int8multirange := '{}';
begin
    if p_after is null then
        select t.newest, t.gaps into v_tail from recovery.tail() as t;
        v_newest := v_tail.newest;
        v_gaps := v_tail.gaps;
    else
        v_newest := recovery._check_after(p_after);
    end if;
    perform recovery._find_consumer(p_name);
    update recovery.consumer as c
    set newest = v_newest, gaps = v_gaps, page = recovery._next_page(c.page),
        page_last = null, page_newest = null, page_gaps = null,
        seen = clock_timestamp()
    where c.name = p_name;
    return coalesce(lower(v_gaps) - 1, v_newest);
end
$$;
--;
comment on function recovery.move_consumer(text, bigint) is
    'Lets a consumer read again, or go on, after an id that is still kept, or (null) from now on. Receipts that were '
    'given out no longer count. RC014 no such consumer, RC010 negative id.';
--;
revoke all on function recovery.move_consumer(text, bigint) from public;
--;
-- sql/event/page.sql
create or replace function recovery.page(
    p_newest bigint, p_gaps int8multirange default '{}', p_limit integer default 1000,
    p_wanted recovery.event_filter default null
)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, newest bigint, gaps int8multirange, "full" boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settled bigint := 0;
    v_page    record;
begin
    perform recovery._check_limit(p_limit);
    if p_gaps <> '{}' then
        v_settled := recovery._settled();
    end if;
    select s.* into v_page from recovery._scan(p_newest, p_gaps, p_limit, p_wanted, v_settled) as s;
    return query
        select null::bigint, null::timestamptz, null::bigint, null::text, null::text, null::text, null::text,
               null::text, null::text, null::text, null::jsonb, null::jsonb, v_page.o_newest, v_page.o_gaps,
               v_page.o_full;
    return query
        select e.*, null::bigint, null::int8multirange, null::boolean from unnest(v_page.o_events) as e;
end
$$;
--;
comment on function recovery.page(bigint, int8multirange, integer, recovery.event_filter) is
    'For a consumer that keeps its position itself: first a row of nothing but the position to read on with (newest, '
    'gaps, and whether there is more), then the events that have become visible since. RC010 bad limit.';
--;
revoke all on function recovery.page(bigint, int8multirange, integer, recovery.event_filter) from public;
--;
-- sql/event/read.sql
create or replace function recovery.read(
    p_after     bigint   default 0,
    p_limit     integer  default 1000,
    p_watch     text[]   default null,
    p_group     text[]   default null,
    p_reason    text[]   default null,
    p_kind      text[]   default null,
    p_topic     text[]   default null,
    p_epoch     bigint[] default null,
    p_unsettled boolean  default false
)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, settled boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wanted  recovery.event_filter := row(p_watch, p_group, p_reason, p_kind, p_topic, p_epoch);
    v_after   bigint := recovery._check_after(p_after);
    v_settled bigint;
    v_page    record;
    v_sure    bigint := 9223372036854775807;  -- up to here nothing is missing
begin
    perform recovery._check_limit(p_limit);
    perform recovery._check_kinds(p_kind);
    loop
        select s.* into v_page from recovery._scan(v_after, '{}', p_limit, v_wanted, null) as s;
        if v_page.o_gaps <> '{}' then
            -- Ask, then look again.
            v_settled := recovery._settled();
            select s.* into v_page from recovery._scan(v_after, '{}', p_limit, v_wanted, v_settled) as s;
            v_sure := least(lower(v_page.o_gaps) - 1, v_sure);
        end if;
        -- Among many that nobody wants it goes on, up to those that it wants, or the end.
        exit when v_page.o_events is not null or not v_page.o_full or not p_unsettled and v_sure < v_page.o_newest;
        v_after := v_page.o_newest;
    end loop;
    return query
        select e.*, e.id <= v_sure from unnest(v_page.o_events) as e where p_unsettled or e.id <= v_sure;
end
$$;
--;
comment on function recovery.read(bigint, integer, text[], text[], text[], text[], text[], bigint[], boolean) is
    'Events after an id, about p_limit of them, in order. Only settled ones, below which none can appear any more, so '
    'that the last id is where to go on; with p_unsettled also what is visible above, marked. Filters: an event must '
    'be in each list that is given. Works on a standby. RC010 bad limit, id or kind.';
--;
revoke all on function recovery.read(bigint, integer, text[], text[], text[], text[], text[], bigint[], boolean)
from public;
--;
-- sql/event/tail.sql
create or replace function recovery.tail(out newest bigint, out gaps int8multirange)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_more boolean := true;
    v_page record;
begin
    newest := recovery._check_after(recovery._settled());
    gaps := '{}';
    while v_more loop
        select s.o_newest, s.o_gaps, s.o_full into v_page
        from recovery._scan(newest, gaps, 100000, row('{}', null, null, null, null, null), null) as s;
        newest := v_page.o_newest;
        gaps := v_page.o_gaps;
        v_more := v_page.o_full;
    end loop;
end
$$;
--;
comment on function recovery.tail() is
    'The position of a consumer that wants what becomes visible from now on: the newest id, and those below that may '
    'still appear. For recovery.page().';
--;
revoke all on function recovery.tail() from public;
--;
-- sql/watchdog/_ask_owners.sql
create or replace function recovery._ask_owners(p_detector text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now   timestamptz := recovery._now();
    v_asked recovery.cancellation;
    v_unit  recovery.unit;
    v_count bigint := 0;
begin
    for v_asked in
        with due as materialized (
            select d.*,
                   -- A live owner is asked first; where there is none, the deadline is now.
                   case when exists (select from recovery.server as s where s.epoch = d.owner and s.ended is null)
                        then recovery.get_setting('cancel_grace', d.watch, d.detail ->> 'kind',
                                                  case d.scope when 'group' then d.key end)::interval
                        else interval '0' end as grace
            from recovery._due_units() as d
            where d.scope = 'group' or not exists (
                select from recovery.fuse_state as f
                where f.family = d.family and f.scope = 'row' and f.watch = d.watch and f.key = d.key and f.guards)
        ),
        gone as (
            -- What moved again in time, or closed, is asked for no more.
            delete from recovery.cancellation as c
            where not exists (
                select from due as d
                where d.family = c.family and d.scope = c.scope and d.key = c.key
                  and (d.scope = 'group' or d.watch = c.watch))
        )
        insert into recovery.cancellation
            (family, scope, watch, key, server_epoch, reason, detail, requested, deadline)
        select d.family, d.scope, d.watch, d.key, d.owner, d.reason, d.detail, v_now, v_now + d.grace from due as d
        on conflict (family, scope, key, (case scope when 'row' then watch end)) do nothing
        returning *
    loop
        v_unit := (v_asked.family, v_asked.scope, v_asked.watch, v_asked.key);
        if not recovery._has_open_work(v_unit) then
            delete from recovery.cancellation as c where c.id = v_asked.id;  -- closed since we looked
        elsif v_asked.deadline > v_now then
            perform recovery._send_cancel(v_asked.server_epoch, v_unit, v_asked.reason, p_detector,
                v_asked.detail || jsonb_build_object('cancellation', v_asked.id, 'deadline', v_asked.deadline));
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end
$$;
--;
comment on function recovery._ask_owners(text) is
    'Notes every unit of recovery._due_units() in recovery.cancellation and asks its live owner, once, by an event of '
    'kind cancel; withdraws what is due no more. Returns how many were asked.';
--;
revoke all on function recovery._ask_owners(text) from public;
--;
-- sql/watchdog/_close_overdue_unit.sql
create or replace function recovery._close_overdue_unit(
    p_detector text, p_lock_wait interval, out o_closed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked recovery.cancellation;
    v_unit  recovery.unit;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    -- One a call: the caller commits. Another sweeper's is skipped.
    select c.* into v_asked from recovery.cancellation as c
    where c.deadline <= recovery._now() order by c.id limit 1 for update skip locked;
    o_more := found;
    if not found then
        return;
    end if;
    v_unit := (v_asked.family, v_asked.scope, v_asked.watch, v_asked.key);
    begin
        o_closed := recovery._close_unit_tree(v_unit, v_asked.reason, p_detector, p_lock_wait);
        if o_closed = '{}' and exists (select from recovery._unit_rows(v_unit)) then
            -- Somebody holds its rows: later, and nobody is asked again.
            update recovery.cancellation as c set deadline = recovery._now() + interval '5 seconds'
            where c.id = v_asked.id;
        else
            delete from recovery.cancellation as c where c.id = v_asked.id;
        end if;
    exception when others then
        perform recovery._note_broken_watch(v_unit.watch, sqlstate, sqlerrm);
        update recovery.cancellation as c set deadline = recovery._now() + interval '10 seconds'
        where c.id = v_asked.id;
    end;
end
$$;
--;
comment on function recovery._close_overdue_unit(text, interval) is
    'Closes one overdue unit that nobody acknowledged in time, for the reason that is true. o_more false: there was '
    'none.';
--;
revoke all on function recovery._close_overdue_unit(text, interval) from public;
--;
-- sql/watchdog/_due_rows.sql
create or replace function recovery._due_rows(p_watch recovery.watch, p_now timestamptz, p_since timestamptz)
returns table (family text, scope text, watch text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_about recovery.task;
    v_least interval;
    v_some  boolean := true;
    v_ours  boolean := not recovery._is_replicated(p_watch.family);
    v_row   record;
    v_task  boolean;
    v_wall  boolean;
begin
    select min(nullif(s.value, 'off')::interval) into v_least from recovery.setting as s
    where s.watch in ('', p_watch.name)
      and (s.name = 'wall_timeout' or s.name in ('tool_timeout', 'task_timeout') and p_watch.supervised is not null);
    if p_watch.started is null or v_least is null and p_watch.timeout is null then
        return;
    end if;
    v_about.at := p_now;
    v_about.since := p_since;
    v_about.span := v_least;
    -- Usually nothing is that old, and this is all that is asked.
    if p_watch.timeout is null then
        select e.* into v_some from recovery._run_as_owner(p_watch.runner, recovery._render_sql(
            'select to_jsonb(exists (select from {relation} as r where ({open}) and ({started}) < ($1).at - '
            '($1).span))',
            jsonb_build_object('relation', p_watch.relation, 'open', p_watch.open, 'started', p_watch.started)),
            v_about) as e;
    end if;
    if not v_some then
        return;
    end if;
    for v_row in
        select d.* from recovery._run_as_owner(p_watch.runner, recovery._due_sql(p_watch), v_about) as j
        cross join lateral jsonb_to_record(j) as d (key text, grp text, owner bigint, kind text, started timestamptz,
            moved timestamptz,
            child_at timestamptz, tool interval, task interval, wall interval, held boolean, child text)
    loop
        continue when v_row.held or not (v_ours or recovery._issued_here(v_row.owner));
        -- Work that moves for ever has a cap of its own, whatever it waits for; not at once after a break in watching.
        v_wall := coalesce(v_row.started + v_row.wall < p_now
            and p_since + least(v_row.wall, interval '1 minute') < p_now, false);
        v_task := v_row.child is not null or v_row.child_at is not null;
        if v_row.child is not null and not v_wall
            and recovery._is_group_open(p_watch.family, recovery._group_tree(p_watch.family, array[v_row.child], false))
        then
            insert into recovery.touch as t (family, scope, watch, key, child_at)
            values (p_watch.family, 'row', p_watch.name, v_row.key, p_now)
            on conflict (family, scope, key, watch) do update set child_at = excluded.child_at;
            continue;
        end if;
        family := p_watch.family;
        watch := p_watch.name;
        -- A row without a group stands for itself.
        scope := case when v_row.grp is null then 'row' else p_watch.cancel end;
        key := case scope when 'group' then v_row.grp else v_row.key end;
        continue when not v_ours and scope = 'group' and recovery._lives_elsewhere((family, scope, watch, key));
        if v_wall then
            reason := 'wall_timeout';
        elsif not v_task and v_row.moved + v_row.tool < p_now then
            reason := 'tool_timeout';
        elsif v_task and v_row.moved + v_row.task < p_now
            and coalesce(v_row.child_at + recovery.get_setting('propagation_grace', p_watch.name, v_row.kind,
                v_row.grp)::interval < p_now, true) then
            reason := 'task_timeout';
        else
            continue;
        end if;
        owner := v_row.owner;
        detail := jsonb_strip_nulls(jsonb_build_object('row', v_row.key, 'kind', v_row.kind,
            'limit', case reason when 'wall_timeout' then v_row.wall when 'tool_timeout' then v_row.tool
                else v_row.task end,
            'since', case reason when 'wall_timeout' then v_row.started else v_row.moved end,
            'child', v_row.child));
        return next;
    end loop;
end
$$;
--;
comment on function recovery._due_rows(recovery.watch, timestamptz, timestamptz) is
    'Rows of a watch past tool_timeout, task_timeout or wall_timeout: leaves only, nothing that is on hold or lives '
    'at a publisher; and the unit that is to be cancelled.';
--;
revoke all on function recovery._due_rows(recovery.watch, timestamptz, timestamptz) from public;
--;
-- sql/watchdog/_due_sql.sql
create or replace function recovery._due_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Rows of one watch whose clock may have run out: the partial index on `started` finds those that began
   longer ago than the least timeout that is set; only for them the other expressions are asked.

   $1 is a recovery.task: at, since (before that no clock runs), span (the least timeout).

   Hold and child stand in the outermost list, so that they are evaluated last.                    */
declare
    v_tool  record;
    v_task  record;
    v_wall  record;
begin
    select * into v_tool from recovery._timeout_sql(p_watch, 'tool_timeout');
    select * into v_task from recovery._timeout_sql(p_watch, 'task_timeout');
    select * into v_wall from recovery._timeout_sql(p_watch, 'wall_timeout');
    return recovery._render_sql($sql$
        select to_jsonb(z) from (
        select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
        from (
            select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
                   {tool} as tool, {task} as task, {wall} as wall
            from (
                select {key} as key, {group} as grp, r.server_epoch as owner, {kind} as kind, ({started}) as started,
                       greatest(({started}), {activity}, t.at, g.at, ($1).since) as moved, t.child_at,
                       {own_timeout} as own, {hold} as held, {child} as child
                from {relation} as r
                left join lateral (
                    select t.at, t.child_at from recovery.own_touch as t
                    where t.family = {family!l} and t.scope = 'row' and t.watch = {watch!l} and t.key = {key}
                    offset 0) as t on true
                left join lateral (
                    select max(g.at) as at from recovery.own_touch as g
                    where g.family = {family!l} and g.scope = 'group' and g.key = {group}
                    offset 0) as g on true
                where ({open}) and ({meant}){old_enough}
            ) as x
        ) as y
        where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
        order by y.started) as z
        $sql$, jsonb_build_object(
        'tool', case when p_watch.supervised is null then 'null::interval' else format('coalesce(x.own, %s)',
            case when p_watch.kind is null then coalesce(v_tool.o_text, 'null::interval') else format(
                'case when x.kind is not null then %s end', coalesce(v_tool.o_text, 'null::interval')) end) end,
        'task', case when p_watch.child is null then 'null::interval'
            else coalesce(v_task.o_text, 'null::interval') end,
        'wall', coalesce(v_wall.o_text, 'null::interval'),
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'kind', coalesce('(' || p_watch.kind || ')::text', 'null::text'),
        'started', p_watch.started,
        'activity', coalesce('(' || p_watch.activity || ')', 'null'),
        'own_timeout', coalesce('(' || p_watch.timeout || ')', 'null::interval'),
        'hold', coalesce('(' || p_watch.hold || ') is true', 'false'),
        'child', coalesce('(' || p_watch.child || ')::text', 'null::text'),
        'relation', p_watch.relation,
        'family', p_watch.family,
        'watch', p_watch.name,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true'),
        -- A row's own timeout cannot be bounded before.
        'old_enough', case when p_watch.timeout is null
            then format(' and (%s) < ($1).at - ($1).span', p_watch.started) else '' end));
end
$$;
--;
comment on function recovery._due_sql(recovery.watch) is
    'The search for rows of a watch whose timeout may have run out.';
--;
revoke all on function recovery._due_sql(recovery.watch) from public;
--;
-- sql/watchdog/_due_units.sql
create or replace function recovery._due_units()
returns table (family text, scope text, watch text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now    timestamptz := recovery._now();
    v_since  timestamptz;
    v_watch  recovery.watch;
    v_family text;
begin
    if not exists (select from recovery.setting as s where s.name like '%\_timeout')
        and not exists (select from recovery.watch as w where w.timeout is not null)
    then
        return;
    end if;
    -- After a break in watching (sleep, restart, failover) every clock begins anew: waking up times out nothing at
    -- once.
    select case when o.since is null or o.because = 'first sweep' then '-infinity' else o.since end into v_since
    from recovery.observation as o;
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position loop
        begin
            return query select d.* from recovery._due_rows(v_watch, v_now, v_since) as d;
        exception when others then
            -- One watch whose expressions fail for some row stops no other.
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
    for v_family in
        select distinct w.family from recovery._attached_watches() as w where w.group_by is not null order by 1
    loop
        begin
            return query select d.* from recovery._idle_groups(v_family, v_now, v_since) as d;
        exception when others then
            perform recovery._note_broken_watch(
                (select min(w.name) from recovery._attached_watches() as w where w.family = v_family),
                sqlstate, sqlerrm);
        end;
    end loop;
end
$$;
--;
comment on function recovery._due_units() is
    'Units of work whose timeout has run out, with the reason; nothing is done to them.';
--;
revoke all on function recovery._due_units() from public;
--;
-- sql/watchdog/_group_activity_sql.sql
create or replace function recovery._group_activity_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select r.server_epoch as owner, greatest(({started}), {activity}, t.at) as moved, {hold} as held
        from {relation} as r
        left join lateral (
            select t.at from recovery.own_touch as t
            where t.family = {family!l} and t.scope = 'row' and t.watch = {watch!l}
                and t.key = {key} offset 0) as t on true
        where ({group}) = ($1).key::{type} and ({open}) and ({meant})
          and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
        $sql$, jsonb_build_object(
        'started', p_watch.started,
        'activity', coalesce('(' || p_watch.activity || ')', 'null'),
        'hold', coalesce('(' || p_watch.hold || ') is true', 'false'),
        'relation', p_watch.relation,
        'family', p_watch.family,
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', p_watch.group_by,
        'type', p_watch.group_type,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true')))
$$;
--;
comment on function recovery._group_activity_sql(recovery.watch) is
    'The open rows of a watch in the group of the task: owner, when they last moved, whether they are on hold.';
--;
revoke all on function recovery._group_activity_sql(recovery.watch) from public;
--;
-- sql/watchdog/_has_begun.sql
create or replace function recovery._has_begun(p_unit recovery.unit, p_after timestamptz)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_begun boolean := false;
    v_task  recovery.task;
begin
    v_task.key := p_unit.key;
    v_task.since := p_after;
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_unit.family and w.group_by is not null and w.started is not null
    loop
        select b.* into v_begun from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select to_jsonb(exists (
                select from {relation} as r
                where ({group}) = ($1).key::{type} and ({open}) and ({started}) > ($1).since))
            $sql$, jsonb_build_object(
            'relation', v_watch.relation,
            'group', v_watch.group_by,
            'type', v_watch.group_type,
            'open', v_watch.open,
            'started', v_watch.started)), v_task) as b;
        exit when v_begun;
    end loop;
    return v_begun;
end
$$;
--;
comment on function recovery._has_begun(recovery.unit, timestamptz) is
    'Whether a group has open work that began after a point in time.';
--;
revoke all on function recovery._has_begun(recovery.unit, timestamptz) from public;
--;
-- sql/watchdog/_idle_groups.sql
create or replace function recovery._idle_groups(p_family text, p_now timestamptz, p_since timestamptz)
returns table (family text, scope text, watch text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_watch  recovery.watch;
    v_head   recovery.watch;
    v_limit  interval;
    v_least  interval;
    v_find   text[];
    v_look   text[];
    v_task   recovery.task;
    v_runner integer;
    v_group  text;
    v_parent text;
    v_seen   record;
    v_name   text;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_family and w.group_by is not null order by w.position
    loop
        v_runner := v_watch.runner;
        if v_watch.parent is not null then
            v_head := v_watch;
        end if;
        v_least := least(v_least, (recovery._timeout_sql(v_watch, 'idle_timeout')).o_least);
        continue when v_watch.started is null;
        v_find := v_find || recovery._old_groups_sql(v_watch);
        v_look := v_look || recovery._group_activity_sql(v_watch);
    end loop;
    if v_least is null or v_find is null then
        return;
    end if;
    v_name := coalesce(v_head.name, (
        select min(w.name) from recovery._attached_watches() as w where w.family = p_family));
    v_task.at := p_now;
    v_task.since := p_since;
    v_task.span := v_least;
    select array_agg(distinct e.epoch) into v_task.epochs
    from recovery._attached_watches() as w cross join lateral unnest(recovery._open_epochs(w.name)) as e (epoch)
    where w.family = p_family;
    for v_group in
        select f.g #>> '{}'
        from recovery._run_as_owner(v_runner, format('select to_jsonb(f.g) from (%s) as f where f.g is not null',
            array_to_string(v_find, E'\nunion\n')), v_task) as f (g)
    loop
        v_task.key := v_group;
        select s.* into v_seen
        from recovery._run_as_owner(v_runner, recovery._render_sql($sql$
            select jsonb_build_object(
                'owner', max(l.owner), 'moved', greatest(max(l.moved), max(t.at), ($1).since), 'held', bool_or(l.held))
            from (
                {look}
            ) as l
            left join recovery.own_touch as t
              on t.family = {family!l} and t.scope = 'group' and t.key = ($1).key
            $sql$,
            jsonb_build_object('look', array_to_string(v_look, E'\nunion all\n'), 'family', p_family)), v_task) as j
        cross join lateral jsonb_to_record(j) as s (owner bigint, moved timestamptz, held boolean);
        select min(nullif(recovery.get_setting('idle_timeout', w.name, null, v_group), 'off')::interval) into v_limit
        from recovery._attached_watches() as w where w.family = p_family;
        continue when v_seen.held or v_limit is null or v_seen.moved is null or v_seen.moved + v_limit >= p_now;
        continue when recovery._lives_elsewhere((p_family, 'group', v_name, v_group));
        v_parent := null;
        if v_head.id is not null then
            select p.g #>> '{}' into v_parent from recovery._run_as_owner(v_runner, recovery._render_sql(
                'select to_jsonb(({parent})::text) from {relation} as r where ({group}) = ($1).key::{type}',
                jsonb_build_object('parent', v_head.parent, 'relation', v_head.relation,
                                   'group', v_head.group_by, 'type', v_head.group_type)), v_task) as p (g);
        end if;
        continue when v_parent is null
            and coalesce(recovery.get_setting('idle_roots', null, null, v_group), 'false') <> 'true';
        -- Waiting for a subagent is not idling.
        continue when recovery._is_group_open(
            p_family, array_remove(recovery._group_tree(p_family, array[v_group], false), v_group));
        family := p_family;
        scope := 'group';
        watch := v_name;
        key := v_group;
        owner := v_seen.owner;
        reason := 'idle_timeout';
        detail := jsonb_strip_nulls(jsonb_build_object('limit', v_limit, 'since', v_seen.moved));
        return next;
    end loop;
end
$$;
--;
comment on function recovery._idle_groups(text, timestamptz, timestamptz) is
    'Groups (sessions) of a family with open work and no activity for idle_timeout: child groups, roots only with '
    'idle_roots; none that waits for a human or for a subagent, or lives at a publisher.';
--;
revoke all on function recovery._idle_groups(text, timestamptz, timestamptz) from public;
--;
-- sql/watchdog/_old_groups_sql.sql
create or replace function recovery._old_groups_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select ({group})::text as g
        from {relation} as r
        where ({started}) < ($1).at - ($1).span and ({open}) and ({meant})
        $sql$, jsonb_build_object(
        'group', p_watch.group_by,
        'relation', p_watch.relation,
        'started', p_watch.started,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true')))
$$;
--;
comment on function recovery._old_groups_sql(recovery.watch) is
    'The search for groups with work of a watch that began longer ago than the least timeout.';
--;
revoke all on function recovery._old_groups_sql(recovery.watch) from public;
--;
-- sql/watchdog/_prune_touches.sql
create or replace function recovery._prune_touches()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Older than any timeout, a touch says nothing.
    delete from recovery.touch as t
    where greatest(t.at, t.child_at) < recovery._now() - greatest(interval '1 day', (
        select max(nullif(s.value, 'off')::interval) from recovery.setting as s where s.name like '%\_timeout'));
end
$$;
--;
comment on function recovery._prune_touches() is 'Part of a sweep: forgets touches that say nothing any more.';
--;
revoke all on function recovery._prune_touches() from public;
--;
-- sql/watchdog/_rows_on_hold.sql
create or replace function recovery._rows_on_hold(p_watch text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_count bigint := 0;
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch and w.hold is not null;
    if found then
        begin
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(count(*)) from {relation} as r where ({open}) and ({hold})',
                jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open, 'hold', v_watch.hold))) as n;
        exception when others then
            v_count := null;  -- broken: nobody knows
        end;
    end if;
    return v_count;
end
$$;
--;
comment on function recovery._rows_on_hold(text) is
    'Open rows of a watch that are on hold; null if that cannot be told.';
--;
revoke all on function recovery._rows_on_hold(text) from public;
--;
-- sql/watchdog/_timeout_sql.sql
create or replace function recovery._timeout_sql(
    p_watch recovery.watch, p_name text, out o_text text, out o_least interval
)
returns record
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- The settings as they are now, the most specific first; as recovery.get_setting decides it.
    select 'case ' || string_agg(format('when %s then %s',
               coalesce(nullif(concat_ws(' and ',
                   case when s.group_key <> '' then format('x.grp = %L', s.group_key) end,
                                                  case when s.kind <> '' then format('x.kind = %L', s.kind) end), ''),
                                                      'true'),
               case s.value when 'off' then 'null' else quote_literal(s.value) || '::interval' end), ' '
               order by s.group_key <> '' desc, s.kind <> '' desc, s.watch <> '' desc) || ' end',
           min(nullif(s.value, 'off')::interval)
    from recovery.setting as s
    where s.name = p_name and s.watch in ('', p_watch.name)
$$;
--;
comment on function recovery._timeout_sql(recovery.watch, text) is
    'A timeout of the rows of a watch as SQL over x.kind and x.grp, null where it is off or not set; and the least '
    'there is.';
--;
revoke all on function recovery._timeout_sql(recovery.watch, text) from public;
--;
-- sql/watchdog/acknowledge_cancellation.sql
create or replace function recovery.acknowledge_cancellation(p_id bigint, p_epoch bigint, p_token uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked   recovery.cancellation;
    v_unit    recovery.unit;
    v_session jsonb;
    v_closed  jsonb;
begin
    perform recovery._check_fresh();
    perform recovery.heartbeat(p_epoch, p_token);  -- proves who it is
    select c.* into v_asked from recovery.cancellation as c where c.id = p_id and c.server_epoch = p_epoch for update;
    if not found then
        return '{}';  -- acknowledged before, closed by its deadline, or no longer due
    end if;
    delete from recovery.cancellation as c where c.id = p_id;
    v_unit := (v_asked.family, v_asked.scope, v_asked.watch, v_asked.key);
    if v_unit.scope = 'group' and recovery._has_begun(v_unit, v_asked.requested) then
        return '{}';  -- its group works on something new by now
    end if;
    v_session := recovery._session_settings();
    v_closed := recovery._close_unit_tree(v_unit, v_asked.reason, 'cancel:' || p_epoch);
    perform recovery._restore_settings(v_session);
    return v_closed;
end
$$;
--;
comment on function recovery.acknowledge_cancellation(bigint, bigint, uuid) is
    'The owner says that it has stopped what recovery.cancellation asked for: what it left open closes now. '
    'Counts per watch; harmless when repeated. RC001, RC002, RC003 as the heartbeat.';
--;
revoke all on function recovery.acknowledge_cancellation(bigint, bigint, uuid) from public;
--;
-- sql/watchdog/check_setting.sql
-- Times are not left to PostgreSQL's own parser: it takes a number without unit for seconds, `m` for minutes or
-- months, and prints by the session's intervalstyle.
create or replace function recovery.check_setting(p_name text, p_value text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_pair  constant text := '([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*'
        '(us|ms|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])\s*';
    c_clock constant text := '([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{1,6})?)$';
    v_value text := lower(btrim(p_value, E' \t\r\n'));
    v_hint  text := 'Allowed is a time up to 365 days with its units (ms, s, min, h, days), '
        'such as 90s, 10 min, 1 h 30 min or 00:10:00; ';
    v_why   text := '';
    v_clock text[];
    v_days  numeric := 0;
    v_secs  numeric := 0;
begin
    case
        when p_name in ('tool_timeout', 'task_timeout', 'idle_timeout', 'wall_timeout') then
            v_hint := v_hint || '0 or off for no limit.';
            v_value := case v_value when 'off' then '0' else v_value end;
        when p_name in ('propagation_grace', 'cancel_grace') then
            v_hint := v_hint || '0 for none.';
        when p_name in ('event_retention', 'history_retention') then
            v_hint := v_hint || '0 or off to keep them for ever.';
            v_value := case v_value when 'off' then '0' else v_value end;
        when p_name in ('idle_roots', 'unowned_expected', 'drop_unread') then
            v_hint := 'Allowed are true (on) and false (off).';
        else
            perform recovery._fail('RC010',
                format('setting %s is not known', coalesce(quote_literal(left(p_name, 60)), 'null')),
                'There are tool_timeout, task_timeout, idle_timeout, wall_timeout, propagation_grace, cancel_grace, '
                'idle_roots, unowned_expected, event_retention, history_retention and drop_unread.');
    end case;
    if v_value is null or v_value = '' then
        return null;
    elsif p_name in ('idle_roots', 'unowned_expected', 'drop_unread') then
        if v_value in ('true', 'on', 'false', 'off') then
            return (v_value in ('true', 'on'))::text;
        end if;
    elsif v_value = '0' or v_value ~ ('^(' || c_pair || ')+$') or v_value ~ ('^(' || c_pair || ')*' || c_clock) then
        select coalesce(sum(m[1]::numeric * case when m[2] ~ '^w' then 7 else 1 end) filter (where m[2] ~ '^[dw]'), 0),
               coalesce(sum(m[1]::numeric * case when m[2] = 'us' then 0.000001 when m[2] = 'ms' then 0.001
                                                 when m[2] ~ '^s' then 1 when m[2] ~ '^m' then 60
                                                     else 3600 end) filter (where m[2] !~ '^[dw]'), 0)
        into v_days, v_secs
        from regexp_matches(v_value, c_pair, 'g') as m;
        v_clock := regexp_match(v_value, c_clock);
        if v_clock is not null then
            v_secs := v_secs + v_clock[1]::numeric * 3600 + v_clock[2]::numeric * 60 + v_clock[3]::numeric;
        end if;
        v_secs := round(v_secs + (v_days - trunc(v_days)) * 86400, 6);
        v_days := trunc(v_days);
        if v_days * 86400 + v_secs > 365 * 86400 then
            v_why := ', which is more than 365 days';
        elsif v_days = 0 and v_secs = 0 and v_value ~ '[1-9]' then
            v_why := ', which is less than a microsecond';
        elsif v_days = 0 and v_secs = 0 and (p_name like '%timeout' or p_name like '%retention') then
            return 'off';
        else
            return concat_ws(' ',
                case v_days when 0 then null when 1 then '1 day' else v_days || ' days' end,
                case when v_secs <> 0 or v_days = 0
                    then rtrim(rtrim(to_char(make_interval(secs => v_secs::double precision), 'HH24:MI:SS.US'), '0'),
                    '.') end);
        end if;
    elsif v_value ~ '^[0-9.]+$' then
        v_why := ', a number without a unit';
    elsif v_value ~ '^-' or v_value ~ '\mago$' then
        v_why := ', which is negative';
    elsif v_value ~ '(^|[^a-z])(m|mons?|months?|y|yrs?|years?)($|[^a-z])' then
        v_why := ', whose unit has no fixed length or is not clear';
    end if;
    perform recovery._fail('RC010',
        format('setting %s cannot be %s%s', p_name, quote_literal(left(p_value, 60)), v_why), v_hint);
    return null;
end
$$;
--;
comment on function recovery.check_setting(text, text) is
    'The value of a setting as it would be stored, and nothing stored; null for null or an empty one. RC010: no such '
    'setting, or the value is not allowed.';
--;
revoke all on function recovery.check_setting(text, text) from public;
--;
-- sql/watchdog/configure.sql
create or replace function recovery.configure(
    p_name  text,
    p_value text,
    p_watch text default null,
    p_kind  text default null,
    p_group text default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value text := recovery.check_setting(p_name, p_value);
    v_watch text := coalesce(p_watch, '');
    v_kind  text := coalesce(p_kind, '');
    v_group text := coalesce(p_group, '');
begin
    if v_value is null then
        -- Also for what is no longer watched: its settings must not stay for ever.
        delete from recovery.setting as s
            where (s.name, s.watch, s.kind, s.group_key) = (p_name, v_watch, v_kind, v_group);
        return null;
    elsif p_name in ('event_retention', 'history_retention', 'drop_unread')
        and (v_watch, v_kind, v_group) <> ('', '', '')
    then
        perform recovery._fail('RC010', format('setting %s is for everything, not for a watch, kind or group', p_name),
            'Set it without them.');
    elsif v_watch <> '' and not exists (select from recovery._attached_watches() as w where w.name = v_watch) then
        perform recovery._fail('RC008', format('nothing is watched as %s', quote_literal(v_watch)),
            'See recovery.watch for the names.');
    elsif octet_length(v_kind) + octet_length(v_group) > 2000 then
        perform recovery._fail('RC010', format('kind and group of setting %s are too long', p_name),
            'Together they may have 2000 bytes.');
    end if;
    -- Many servers may boot with the same settings: the row tells who changed it, not who agreed.
    insert into recovery.setting as s (name, watch, kind, group_key, value)
    values (p_name, v_watch, v_kind, v_group, v_value)
    on conflict (name, watch, kind, group_key) do update
    set value = excluded.value, changed_at = excluded.changed_at, changed_by = excluded.changed_by
    where s.value <> excluded.value;
    return v_value;
end
$$;
--;
comment on function recovery.configure(text, text, text, text, text) is
    'Sets a setting of the watchdog for everything, a watch, a kind of work or a group, and returns it as it is '
    'stored; null removes it, so that the next wider one counts. RC008 not watched, RC010 bad name or value.';
--;
revoke all on function recovery.configure(text, text, text, text, text) from public;
--;
-- sql/watchdog/get_setting.sql
create or replace function recovery.get_setting(
    p_name  text,
    p_watch text default null,
    p_kind  text default null,
    p_group text default null
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.check_setting(p_name, null);
    return (
        select nullif(s.value, 'off') from recovery.setting_status as s
        where s.name = p_name
          and s.watch in ('', p_watch) and s.kind in ('', p_kind) and s.group_key in ('', p_group)
        order by s.group_key <> '' desc, s.kind <> '' desc, s.watch <> '' desc
        limit 1
    );
end
$$;
--;
comment on function recovery.get_setting(text, text, text, text) is
    'The value of a setting that applies: the most specific one, group before kind before watch before all, else the '
    'built-in default; null if it is off. RC010: no such setting.';
--;
revoke all on function recovery.get_setting(text, text, text, text) from public;
--;
-- sql/watchdog/pending_cancellations.sql
create or replace function recovery.pending_cancellations(p_epoch bigint)
returns table (
    id bigint, watch text, scope text, key text, reason text, detail jsonb, requested timestamptz, deadline timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.id, c.watch, c.scope, c.key, c.reason, c.detail, c.requested, c.deadline
    from recovery.cancellation as c where c.server_epoch = p_epoch order by c.id
$$;
--;
comment on function recovery.pending_cancellations(bigint) is
    'What a server is asked to stop and has not acknowledged.';
--;
revoke all on function recovery.pending_cancellations(bigint) from public;
--;
-- sql/watchdog/supervise.sql
create or replace function recovery.supervise(
    p_table    regclass,
    p_kind     text default null,   -- text: kind of the work, by which settings differ
    p_activity text default null,   -- timestamptz: when the row last moved
    p_timeout  text default null,   -- interval: the row's own timeout, before any setting
    p_hold     text default null,   -- condition: it waits for a human or a point in time, and no clock runs
    p_child    text default null,   -- the group (session) that it waits for
    p_cancel   text default 'row',  -- what a timeout closes: row, or group with all descendants
    p_started  text default null    -- timestamptz, immutable: when it began; by default as recovery.attach was told
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_watch  recovery.watch;
    v_given  jsonb;
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')),
            'Attach it first: recovery.attach.');
    end if;
    v_given := jsonb_build_object(
        'kind', p_kind, 'activity', p_activity, 'timeout', p_timeout, 'hold', p_hold, 'child', p_child,
        'cancel', p_cancel, 'started', coalesce(p_started, v_watch.supervised ->> 'started'));
    if v_watch.supervised = v_given then
        perform set_config('recovery.attaching', '', true);
        return v_watch.name;
    end if;
    -- Check and compile: by the triggers of recovery.watch.
    update recovery.watch as w set supervised = v_given where w.relation = p_table returning w.* into v_watch;
    if v_watch.attached is null then
        return v_watch.name;  -- recovery.attach_steps makes the rest
    end if;
    -- Index, rehearsal.
    execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
    perform recovery._complete_watch(v_watch);
    perform set_config('recovery.attaching', '', true);
    return v_watch.name;
end
$$;
--;
comment on function recovery.supervise(regclass, text, text, text, text, text, text, text) is
    'Puts a watch under the watchdog: kind of work, last activity, own timeout, hold, child group, what a timeout '
    'cancels (row or group), start. Timeouts themselves are settings (recovery.configure). Doing it again replaces it. '
    'RC006 cannot work, RC008 not watched.';
--;
revoke all on function recovery.supervise(regclass, text, text, text, text, text, text, text) from public;
--;
-- sql/watchdog/touch.sql
create or replace function recovery.touch(p_watch text, p_keys text[], p_scope text default 'row')
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit  recovery.unit := recovery._unit_of(p_watch, p_scope, null, 'touch');
    v_count bigint;
begin
    perform recovery._check_key(k.key, 'touch') from unnest(p_keys) as k (key);
    -- In key order: two processes that touch the same rows do not deadlock. At most one write a second.
    insert into recovery.touch as t (family, scope, watch, key, at)
    select v_unit.family, v_unit.scope, v_unit.watch, k.key, recovery._now()
    from (select distinct u.key from unnest(p_keys) as u (key)) as k order by k.key
    on conflict (family, scope, key, watch) do update set at = excluded.at
    where t.at is null or t.at < excluded.at - interval '1 second';
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
--;
comment on function recovery.touch(text, text[], text) is
    'Says that rows (or groups) of a watch are moving, though they do not show it. Cheap enough for each second. '
    'Returns how many touches were written. RC008 not watched, RC010 bad scope.';
--;
revoke all on function recovery.touch(text, text[], text) from public;
--;
-- sql/watchdog/unsupervise.sql
create or replace function recovery.unsupervise(p_table regclass)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_watch  recovery.watch;
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')),
            'Attach it first: recovery.attach.');
    elsif v_watch.supervised is not null then
        -- Forgotten: by the triggers of recovery.watch.
        update recovery.watch as w set supervised = null where w.relation = p_table;
        execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
    end if;
    return v_watch.name;
end
$$;
--;
comment on function recovery.unsupervise(regclass) is
    'Takes a watch from the watchdog: what recovery.supervise was told is forgotten, and only wall_timeout and '
    'idle_timeout count. Returns the name; repeating it does nothing. RC008 not watched.';
--;
revoke all on function recovery.unsupervise(regclass) from public;
--;
-- sql/webhook/_check_webhook.sql
create or replace function recovery._check_webhook(p_webhook recovery.webhook)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_secret text;
begin
    if p_webhook.name is null or p_webhook.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$' then
        perform recovery._fail('RC010',
            format('webhook name %s is not allowed', coalesce(quote_literal(left(p_webhook.name, 60)), 'null')),
            'Give 1 to 50 letters, digits, dots, dashes or underscores, a letter or digit first.');
    elsif p_webhook.url is null or length(p_webhook.url) > 2000
        or p_webhook.url !~ '^https?://[^/?#@[:space:][:cntrl:]]+([/?][^#[:space:][:cntrl:]]*)?$'
    then
        perform recovery._fail('RC010',
            format('webhook URL %s is not allowed',
                -- Somebody's password need not stand in a log.
                coalesce(quote_literal(left(regexp_replace(p_webhook.url, '//.*@', '//***@'), 200)), 'null')),
            'Give https://host/path, without user, password or #fragment: the signature tells who sends.');
    elsif p_webhook.url ~ '^http:' and cardinality(p_webhook.allow) = 0 then
        perform recovery._fail('RC010', 'webhook URLs begin with https://',
            'Without TLS only networks can be reached that are named in allow.');
    elsif p_webhook.order_by is null or p_webhook.order_by not in ('row', 'group') then
        perform recovery._fail('RC010',
            format('webhook order %s is not known', coalesce(quote_literal(p_webhook.order_by), 'null')),
            'Give row or group.');
    end if;
    perform recovery._check_interval('timeout', p_webhook.timeout, interval '1 second', interval '5 minutes');
    perform recovery._check_interval('backoff', p_webhook.backoff, interval '100 milliseconds', interval '1 day');
    perform recovery._check_interval('max_backoff', p_webhook.max_backoff, p_webhook.backoff, interval '7 days');
    perform recovery._check_interval('keep', p_webhook.keep, interval '1 hour', interval '10 years');
    if p_webhook.max_body is null or p_webhook.max_body not between 16384 and 16777216 then
        perform recovery._fail('RC010',
            format('max_body %s is not allowed', coalesce(p_webhook.max_body::text, 'null')),
            'Give 16384 to 16777216 bytes.');
    elsif p_webhook.max_attempts is null or p_webhook.max_attempts not between 1 and 100 then
        perform recovery._fail('RC010',
            format('max_attempts %s is not allowed', coalesce(p_webhook.max_attempts::text, 'null')),
            'Give 1 to 100.');
    elsif p_webhook.concurrency is null or p_webhook.concurrency not between 1 and 1000 then
        perform recovery._fail('RC010',
            format('concurrency %s is not allowed', coalesce(p_webhook.concurrency::text, 'null')),
            'Give 1 to 1000.');
    elsif cardinality(p_webhook.secrets) not between 1 and 4 then
        perform recovery._fail('RC010',
            format('webhook %s would have %s secrets', p_webhook.name, cardinality(p_webhook.secrets)),
            'It may have four: finish the rotation first, so that old ones go.');
    end if;
    -- No message shows a secret.
    foreach v_secret in array p_webhook.secrets loop
        if not coalesce(recovery._is_webhook_secret(v_secret), false) then
            perform recovery._fail('RC010', 'the secret of a webhook can''t be that',
                'Give whsec_ and the base64 of 24 to 64 bytes; or none, and one is made.');
        end if;
    end loop;
end
$$;
--;
comment on function recovery._check_webhook(recovery.webhook) is 'Refuses a webhook that cannot work: RC010.';
--;
revoke all on function recovery._check_webhook(recovery.webhook) from public;
--;
-- sql/webhook/_is_webhook_secret.sql
create or replace function recovery._is_webhook_secret(p_secret text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_secret ~ '^whsec_[A-Za-z0-9+/]+={0,2}$'
        and octet_length(decode(substr(p_secret, 7), 'base64')) between 24 and 64;
exception when data_exception then
    return false;
end
$$;
--;
comment on function recovery._is_webhook_secret(text) is
    'Whether a text is a secret of Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes.';
--;
revoke all on function recovery._is_webhook_secret(text) from public;
--;
-- sql/webhook/_make_webhook_secret.sql
create or replace function recovery._make_webhook_secret()
returns text
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- A random UUID has 122 bits of a strong generator, the only one that is always there.
    select 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64')
$$;
--;
comment on function recovery._make_webhook_secret() is 'A new secret: 32 bytes, 244 of their bits random.';
--;
revoke all on function recovery._make_webhook_secret() from public;
--;
-- sql/webhook/_next_in_line.sql
create or replace function recovery._next_in_line(p_webhook text, p_events bigint[])
returns bigint[]
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(distinct n.event)
    from unnest(p_events) as p (event)
    join recovery.webhook_delivery as d on d.webhook = p_webhook and d.event = p.event
    cross join lateral (
        (select e.event from recovery.webhook_delivery as e
         where e.webhook = p_webhook and e.watch = d.watch and e.key = d.key and e.state in ('waiting', 'pending')
         order by e.event limit 1)
        union
        (select e.event from recovery.webhook_delivery as e
         where e.webhook = p_webhook and e.lane = d.lane and e.lane is not null and e.state in ('waiting', 'pending')
         order by e.event limit 1)
    ) as n
$$;
--;
comment on function recovery._next_in_line(text, bigint[]) is
    'The first unfinished deliveries of the rows and groups of these, which are finished.';
--;
revoke all on function recovery._next_in_line(text, bigint[]) from public;
--;
-- sql/webhook/_promote_deliveries.sql
create or replace function recovery._promote_deliveries(p_webhook text, p_events bigint[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Asked one by one, by the index: a join would read all that waits, whenever statistics are old.
    update recovery.webhook_delivery as d
    set state = 'pending', next_at = recovery._now()
    where d.webhook = p_webhook and d.state = 'waiting' and d.event = any (p_events)
      and d.event = (
          select e.event from recovery.webhook_delivery as e
          where e.webhook = d.webhook and e.watch = d.watch and e.key = d.key and e.state in ('waiting', 'pending')
          order by e.event limit 1)
      and (d.lane is null or d.event = (
          select e.event from recovery.webhook_delivery as e
          where e.webhook = d.webhook and e.lane = d.lane and e.lane is not null and e.state in ('waiting', 'pending')
          order by e.event limit 1));
end
$$;
--;
comment on function recovery._promote_deliveries(text, bigint[]) is
    'Of these deliveries, those that wait for nobody can be sent. The webhook is locked.';
--;
revoke all on function recovery._promote_deliveries(text, bigint[]) from public;
--;
-- sql/webhook/_webhook_named.sql
create or replace function recovery._webhook_named(p_name text)
returns recovery.webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_name for update;
    if not found then
        perform recovery._fail('RC010', format('no webhook is called %s', coalesce(quote_literal(p_name), 'null')),
            'recovery.webhook_status lists them.');
    end if;
    return v_webhook;
end
$$;
--;
comment on function recovery._webhook_named(text) is
    'A webhook by its name, locked: what is collected, claimed and recorded for it happens one after the other. RC010 '
    'there is none.';
--;
revoke all on function recovery._webhook_named(text) from public;
--;
-- sql/webhook/add_webhook.sql
create or replace function recovery.add_webhook(
    p_name         text,
    p_url          text,
    p_secret       text     default null,
    p_watch        text[]   default null,
    p_group        text[]   default null,
    p_reason       text[]   default null,
    p_kind         text[]   default null,
    p_topic        text[]   default null,
    p_epoch        bigint[] default null,
    p_after        bigint   default null,
    p_allow        cidr[]   default '{}',
    p_order_by     text     default 'row',
    p_timeout      interval default '15 seconds',
    p_max_body     integer  default 65536,
    p_max_attempts integer  default 10,
    p_backoff      interval default '5 seconds',
    p_max_backoff  interval default '12 hours',
    p_concurrency  integer  default 8,
    p_keep         interval default '30 days',
    p_replace      boolean  default false
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_before  recovery.webhook;
    v_watch   text;
begin
    v_webhook.name := p_name;
    v_webhook.url := p_url;
    v_webhook.allow := coalesce(p_allow, '{}');
    v_webhook.order_by := p_order_by;
    v_webhook.timeout := p_timeout;
    v_webhook.max_body := p_max_body;
    v_webhook.max_attempts := p_max_attempts;
    v_webhook.backoff := p_backoff;
    v_webhook.max_backoff := p_max_backoff;
    v_webhook.concurrency := p_concurrency;
    v_webhook.keep := p_keep;
    select w.* into v_before from recovery.webhook as w where w.name = p_name for update;
    if found and not coalesce(p_replace, false) then
        perform recovery._fail('RC010', format('there is a webhook %s already, for %s', p_name, v_before.url),
            'Give another name, or replace it (p_replace, --replace): its secret, position and deliveries stay.');
    end if;
    v_webhook.secrets := case when p_secret is null
        then coalesce(v_before.secrets, array[recovery._make_webhook_secret()]) else array[p_secret] end;
    perform recovery._check_webhook(v_webhook);
    foreach v_watch in array coalesce(p_watch, '{}') loop
        if not exists (select from recovery._attached_watches() as w where w.name = v_watch) then
            perform recovery._fail('RC008',
                format('nothing is watched as %s', coalesce(quote_literal(v_watch), 'null')),
                'See recovery.watch for the names.');
        end if;
    end loop;
    insert into recovery.webhook as w (
        name, url, secrets, allow, order_by, timeout, max_body, max_attempts, backoff, max_backoff, concurrency, keep)
    values (
        v_webhook.name, v_webhook.url, v_webhook.secrets, v_webhook.allow, v_webhook.order_by, v_webhook.timeout,
        v_webhook.max_body, v_webhook.max_attempts, v_webhook.backoff, v_webhook.max_backoff, v_webhook.concurrency,
        v_webhook.keep)
    on conflict (name) do update
    set url = excluded.url, secrets = excluded.secrets, allow = excluded.allow, order_by = excluded.order_by,
        timeout = excluded.timeout, max_body = excluded.max_body, max_attempts = excluded.max_attempts,
        backoff = excluded.backoff, max_backoff = excluded.max_backoff, concurrency = excluded.concurrency,
        keep = excluded.keep, failures = 0;
    perform recovery.create_consumer(
        'webhook:' || p_name, p_after => p_after, p_watch => p_watch, p_group => p_group, p_reason => p_reason,
        p_kind => p_kind, p_topic => p_topic, p_epoch => p_epoch);
    return v_webhook.secrets[1];
end
$$;
--;
comment on function recovery.add_webhook(
    text, text, text, text[], text[], text[], text[], text[], bigint[], bigint, cidr[], text, interval, integer,
    integer, interval, interval, integer, interval, boolean
) is
    'Sends the events that pass all filters to a URL from now on (or after p_after), and returns the secret that they '
    'are signed with: the given one, or a new one. p_allow: private networks that may be reached, and without TLS. '
    'p_replace: changes the webhook of that name; its position stays. RC008 no such watch, RC010 what can''t work.';
--;
revoke all on function recovery.add_webhook(
    text, text, text, text[], text[], text[], text[], text[], bigint[], bigint, cidr[], text, interval, integer,
    integer, interval, interval, integer, interval, boolean
) from public;
--;
-- sql/webhook/claim_deliveries.sql
create or replace function recovery.claim_deliveries(p_webhook text, p_claim uuid, p_limit integer default 1)
returns table (
    event    bigint,
    attempt  integer,
    watch    text,
    kind     text,
    key      text,
    body     jsonb,
    url      text,
    secrets  text[],
    allow    cidr[],
    timeout  interval,
    max_body integer
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_now     timestamptz := recovery._now();
    v_free    integer;
    v_dead    bigint[];
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook and w.paused is null for update;
    if not found then
        return;
    end if;
    -- Whoever sent these for the last time has died over it.
    with dead as (
        update recovery.webhook_delivery as d
        set state = 'dead', claim = null, done = v_now,
            error = 'the dispatcher died during the last attempt'
        where d.webhook = p_webhook and d.state = 'pending' and d.next_at <= v_now
          and d.claim is not null and d.attempts >= v_webhook.max_attempts
        returning d.event
    )
    select array_agg(dead.event) into v_dead from dead;
    if v_dead is not null then
        perform recovery._promote_deliveries(p_webhook, recovery._next_in_line(p_webhook, v_dead));
        v_now := recovery._now();  -- what comes next is due now
    end if;
    select greatest(0, case when v_webhook.failures < 5 then v_webhook.concurrency else 1 end - count(*)) into v_free
    from recovery.webhook_delivery as d
    where d.webhook = p_webhook and d.state = 'pending' and d.next_at > v_now and d.claim is not null;
    return query
        with due as materialized (
            select d.event from recovery.webhook_delivery as d
            where d.webhook = p_webhook and d.state = 'pending' and d.next_at <= v_now
            order by d.next_at, d.event limit least(v_free, p_limit)
        ),
        claimed as (
            update recovery.webhook_delivery as d
            set claim = p_claim, attempts = d.attempts + 1,
                next_at = v_now + v_webhook.timeout + interval '10 seconds'
            from due where d.webhook = p_webhook and d.event = due.event
            returning d.*
        )
        select c.event, c.attempts, c.watch, c.kind, c.key, c.body, v_webhook.url, v_webhook.secrets,
            v_webhook.allow, v_webhook.timeout, v_webhook.max_body
        from claimed as c order by c.event;
end
$$;
--;
comment on function recovery.claim_deliveries(text, uuid, integer) is
    'What a dispatcher is to send now for a webhook; it tells by recovery.record_deliveries, with the same claim, what '
    'became of it. What it does not tell within the timeout and ten seconds is sent again, by whoever asks then.';
--;
revoke all on function recovery.claim_deliveries(text, uuid, integer) from public;
--;
-- sql/webhook/collect_deliveries.sql
create or replace function recovery.collect_deliveries(p_webhook text, p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_open    integer;
    v_events  bigint[];
    v_receipt text;
    v_count   bigint;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook and w.paused is null for update;
    if not found then
        return 0;
    end if;
    -- A receiver that is down for long must not fill this table: the rest waits in the outbox.
    select count(*) into v_open from (
        select from recovery.webhook_delivery as d
        where d.webhook = p_webhook and d.state in ('waiting', 'pending') limit 20000) as d;
    if v_open >= 20000 then
        return 0;
    end if;
    with page as materialized (
        select f.* from recovery.fetch('webhook:' || p_webhook, p_limit) as f
    ),
    added as (
        insert into recovery.webhook_delivery as d (webhook, event, watch, kind, key, lane, body, next_at)
        select p_webhook, p.id, p.watch, p.kind, p.key, case v_webhook.order_by when 'group' then p.group_key end,
               jsonb_build_object(
                   'id', p.id, 'at', p.at, 'watch', p.watch, 'kind', p.kind, 'topic', p.topic, 'key', p.key,
                   'group', p.group_key, 'server_epoch', p.server_epoch, 'reason', p.reason,
                   'detector', p.detector, 'old', p.old, 'new', p.new),
               recovery._now()
        from page as p
        order by p.id
        -- It comes again if somebody has moved the consumer back: then it is meant to be sent again.
        on conflict (webhook, event) do update
        set state = 'waiting', attempts = 0, next_at = excluded.next_at, claim = null, done = null, body = excluded.body
        where d.state in ('delivered', 'dead')
        returning d.event
    )
    select array_agg(a.event), (select p.receipt from page as p order by p.id desc limit 1), (select count(*) from page)
    into v_events, v_receipt, v_count
    from added as a;
    if v_receipt is not null then
        perform recovery._promote_deliveries(p_webhook, v_events);
        perform recovery.acknowledge(v_receipt);
    end if;
    return v_count;
end
$$;
--;
comment on function recovery.collect_deliveries(text, integer) is
    'Takes the next events of a webhook''s consumer: copies them into recovery.webhook_delivery and acknowledges them, '
    'in one transaction. Returns how many; 0 too if it is paused or not known, or has 20,000 unfinished ones.';
--;
revoke all on function recovery.collect_deliveries(text, integer) from public;
--;
-- sql/webhook/current_states.sql
create or replace function recovery.current_states(p_watch text, p_scope text, p_keys text[])
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
    v_watch  recovery.watch;
    v_task   recovery.task;
    v_parts  integer;
    v_states jsonb;
    v_found  text[] := '{}';
    v_key    text;
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        return array_fill('unknown'::text, array[cardinality(p_keys)]);
    end if;
    -- A host that alters its table, or has broken it, must not hold up who asks.
    begin
        if p_scope = 'group' then
            foreach v_key in array p_keys loop
                v_found := v_found || case when recovery._is_group_open(v_watch.family, array[v_key])
                    then 'open' else 'closed' end;
            end loop;
            return v_found;
        end if;
        v_parts := cardinality(v_watch.key_columns);
        v_task.keys := p_keys;
        select s.* into v_states from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select jsonb_agg(coalesce(s.state, 'deleted') order by k.n)
            from unnest(($1).keys) with ordinality as k (key, n)
            left join lateral (
                select case when ({open}) then 'open' else 'closed' end as state
                from {relation} as r where {same} limit 1) as s on true
            $sql$, jsonb_build_object(
            'open', v_watch.open,
            'relation', v_watch.relation,
            'same', (
                select string_agg(format('r.%I = (%s)::%s', c.name,
                    case v_parts when 1 then 'k.key' else format('k.key::jsonb ->> %s', c.n - 1) end,
                    v_watch.key_types[c.n]), ' and ' order by c.n)
                from unnest(v_watch.key_columns) with ordinality as c (name, n)))), v_task) as s;
        return recovery._to_texts(v_states);
    exception when others then
        return array_fill('unknown'::text, array[cardinality(p_keys)]);
    end;
end
$$;
--;
comment on function recovery.current_states(text, text, text[]) is
    'What rows of a watch (or with scope group: groups) are now, in the order of their keys: open, closed, deleted, or '
    'unknown, where the table can''t be asked at once.';
--;
revoke all on function recovery.current_states(text, text, text[]) from public;
--;
-- sql/webhook/due_webhooks.sql
create or replace function recovery.due_webhooks()
returns table (name text, due_in interval, free integer, fresh boolean)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.name, n.next_at - recovery._now(),
        greatest(0, case when w.failures < 5 then w.concurrency else 1 end - (
            select count(*)::integer from recovery.webhook_delivery as d
            where d.webhook = w.name and d.state = 'pending' and d.next_at > recovery._now() and d.claim is not null)),
        -- Once a minute it is asked in any case: so its consumer is not taken for abandoned.
        c.name is null or c.newest < e.id or c.gaps <> '{}' or c.seen < clock_timestamp() - interval '1 minute'
    from recovery.webhook as w
    left join recovery.consumer as c on c.name = 'webhook:' || w.name
    left join lateral (
        select d.next_at from recovery.webhook_delivery as d
        where d.webhook = w.name and d.state = 'pending' order by d.next_at limit 1) as n on true
    cross join (
        select greatest((select max(o.id) from recovery.outbox as o), f.id) as id from recovery.event_floor as f
    ) as e
    where w.paused is null
    order by n.next_at
$$;
--;
comment on function recovery.due_webhooks() is
    'The webhooks that are not paused: in how long each has something to send (null: nothing waits), how many '
    'deliveries may begin (one at a time while its receiver is down), and whether recovery.collect_deliveries may find '
    'something.';
--;
revoke all on function recovery.due_webhooks() from public;
--;
-- sql/webhook/pause_webhook.sql
create or replace function recovery.pause_webhook(p_name text, p_because text default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    update recovery.webhook as w
    set paused = coalesce(w.paused, recovery._now()), paused_because = left(p_because, 500)
    where w.name = v_webhook.name;
end
$$;
--;
comment on function recovery.pause_webhook(text, text) is
    'Sends nothing to a webhook until recovery.resume_webhook; its events stay in the outbox as long as its consumer '
    'does not expire. RC010 there is none.';
--;
revoke all on function recovery.pause_webhook(text, text) from public;
--;
-- sql/webhook/prune_deliveries.sql
create or replace function recovery.prune_deliveries(p_limit integer default 5000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_state   text;
    v_before  timestamptz;
    v_some    bigint;
    v_count   bigint := 0;
begin
    for v_webhook in select w.* from recovery.webhook as w order by w.name loop
        foreach v_state in array array['delivered', 'dead'] loop
            v_before := recovery._now() - case v_state
                when 'dead' then v_webhook.keep else least(v_webhook.keep, interval '1 day') end;
            -- And no more than 100,000 of each, whatever their age.
            v_before := greatest(v_before, (
                select d.done from recovery.webhook_delivery as d
                where d.webhook = v_webhook.name and d.state = v_state and d.state in ('delivered', 'dead')
                order by d.done desc offset 100000 limit 1));
            with old as materialized (
                select o.event from recovery.webhook_delivery as o
                where o.webhook = v_webhook.name and o.state = v_state and o.state in ('delivered', 'dead')
                  and o.done <= v_before
                order by o.done limit p_limit for update skip locked
            )
            delete from recovery.webhook_delivery as d using old
            where d.webhook = v_webhook.name and d.event = old.event;
            get diagnostics v_some = row_count;
            v_count := v_count + v_some;
        end loop;
    end loop;
    return v_count;
end
$$;
--;
comment on function recovery.prune_deliveries(integer) is
    'Forgets what was delivered a day ago and dead letters that are older than their webhook keeps them, and of both '
    'what is beyond the newest 100,000; at most p_limit of each at a time. Returns how many.';
--;
revoke all on function recovery.prune_deliveries(integer) from public;
--;
-- sql/webhook/record_deliveries.sql
create or replace function recovery.record_deliveries(
    p_webhook  text,
    p_events   bigint[],
    p_claims   uuid[],
    p_statuses integer[],
    p_errors   text[],
    p_took     interval[],
    p_after    interval[]
)
returns table (event bigint, state text, next_in interval)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_now     timestamptz := recovery._now();
    v_row     record;
    v_found   recovery.webhook_delivery;
    v_done    bigint[] := '{}';
    v_up      boolean := false;
    v_pause   interval;
begin
    select w.* into v_webhook from recovery.webhook as w where w.name = p_webhook for update;
    if not found then
        return;
    end if;
    for v_row in
        select * from unnest(p_events, p_claims, p_statuses, p_errors, p_took, p_after)
            as r (event, claim, status, error, took, after)
    loop
        -- Not if somebody else has claimed it since: this dispatcher was taken for dead.
        update recovery.webhook_delivery as d
        set claim = null, status = v_row.status, error = left(v_row.error, 500), took = v_row.took, tried = v_now
        where d.webhook = p_webhook and d.event = v_row.event and d.claim = v_row.claim and d.state = 'pending'
        returning d.* into v_found;
        continue when not found;
        v_pause := null;
        v_webhook.tried := v_now;
        if v_row.error is null and v_row.status between 200 and 299 then
            v_found.state := 'delivered';
            v_webhook.delivered := v_now;
            v_webhook.error := null;
        elsif v_row.status = 410 then
            -- "Gone": the receiver wants no more. Nothing is lost: somebody may resume it.
            v_webhook.paused := coalesce(v_webhook.paused, v_now);
            v_webhook.paused_because := 'the receiver answered 410 Gone';
            v_webhook.error := left(v_row.error, 500);
            v_pause := interval '0';
        elsif v_found.attempts >= v_webhook.max_attempts then
            v_found.state := 'dead';
            v_webhook.error := left(v_row.error, 500);
        else
            v_webhook.error := left(v_row.error, 500);
            v_pause := make_interval(secs => least(
                extract(epoch from v_webhook.max_backoff),
                extract(epoch from v_webhook.backoff) * 4 ^ least(v_found.attempts - 1, 20)) * (0.5 + random()));
            if v_row.after is not null then
                v_pause := greatest(v_pause, least(v_row.after, interval '1 day'));
            end if;
        end if;
        if v_row.status is null or v_row.status = 429 or v_row.status >= 500 then
            v_webhook.failures := v_webhook.failures + 1;
        else
            v_up := v_up or v_webhook.failures >= 5;
            v_webhook.failures := 0;
        end if;
        if v_pause is null then
            v_done := v_done || v_row.event;
            update recovery.webhook_delivery as d set state = v_found.state, done = v_now
            where d.webhook = p_webhook and d.event = v_row.event;
        else
            update recovery.webhook_delivery as d set next_at = v_now + v_pause
            where d.webhook = p_webhook and d.event = v_row.event;
        end if;
        event := v_row.event;
        state := v_found.state;
        next_in := v_pause;
        return next;
    end loop;
    if v_done <> '{}' then
        perform recovery._promote_deliveries(p_webhook, recovery._next_in_line(p_webhook, v_done));
    end if;
    if v_up then
        -- The receiver is back after an outage: its events need not wait for hours any more.
        update recovery.webhook_delivery as d set next_at = v_now + random() * interval '5 seconds'
        where d.webhook = p_webhook and d.state = 'pending' and d.claim is null and d.next_at > v_now;
    end if;
    update recovery.webhook as w
    set paused = v_webhook.paused, paused_because = v_webhook.paused_because, failures = v_webhook.failures,
        tried = v_webhook.tried, delivered = v_webhook.delivered, error = v_webhook.error
    where w.name = p_webhook;
end
$$;
--;
comment on function recovery.record_deliveries(
    text, bigint[], uuid[], integer[], text[], interval[], interval[]
) is
    'What became of claimed deliveries: HTTP status (null: no answer), error (null: taken), how long it took, and how '
    'long the receiver wants us to wait. Says what each is now: delivered, dead, or pending again, and in how long. '
    'Passes over those that somebody else has claimed meanwhile.';
--;
revoke all on function recovery.record_deliveries(
    text, bigint[], uuid[], integer[], text[], interval[], interval[]
) from public;
--;
-- sql/webhook/redeliver.sql
create or replace function recovery.redeliver(p_webhook text, p_events bigint[] default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_webhook);
    v_events  bigint[];
    v_missing bigint;
begin
    with again as (
        update recovery.webhook_delivery as d
        set state = 'waiting', attempts = 0, next_at = recovery._now(), claim = null, done = null
        where d.webhook = v_webhook.name
          and case when p_events is null then d.state = 'dead'
              else d.event = any (p_events) and d.state in ('delivered', 'dead') end
        returning d.event
    )
    select array_agg(again.event) into v_events from again;
    select e.event into v_missing from unnest(p_events) as e (event)
    where not exists (
        select from recovery.webhook_delivery as d where d.webhook = v_webhook.name and d.event = e.event)
    limit 1;
    if v_missing is not null then
        perform recovery._fail('RC010', format('webhook %s has no delivery of event %s', v_webhook.name, v_missing),
            'What was delivered is kept for a day at most.');
    end if;
    perform recovery._promote_deliveries(v_webhook.name, v_events);
    return coalesce(cardinality(v_events), 0);
end
$$;
--;
comment on function recovery.redeliver(text, bigint[]) is
    'Sends dead letters again: all of a webhook, or these events, which may have been delivered, too. Each has all its '
    'attempts once more, and the id that it had. Returns how many. RC010 no such webhook or delivery.';
--;
revoke all on function recovery.redeliver(text, bigint[]) from public;
--;
-- sql/webhook/remove_webhook.sql
create or replace function recovery.remove_webhook(p_name text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
    v_count   bigint;
begin
    select count(*) into v_count from recovery.webhook_delivery as d
    where d.webhook = p_name and d.state <> 'delivered';
    delete from recovery.webhook as w where w.name = v_webhook.name;
    begin
        perform recovery.drop_consumer('webhook:' || p_name);
    exception when sqlstate 'RC014' then
        null;  -- somebody has dropped it
    end;
    return v_count;
end
$$;
--;
comment on function recovery.remove_webhook(text) is
    'Sends nothing more to a webhook and forgets it, with its dead letters. Returns how many events it did not get. '
    'RC010 there is none.';
--;
revoke all on function recovery.remove_webhook(text) from public;
--;
-- sql/webhook/resume_webhook.sql
create or replace function recovery.resume_webhook(p_name text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    update recovery.webhook as w set paused = null, paused_because = null, failures = 0 where w.name = v_webhook.name;
    -- Who resumes has repaired something: what waits for its next attempt is tried now.
    update recovery.webhook_delivery as d set next_at = recovery._now()
    where d.webhook = v_webhook.name and d.state = 'pending' and d.claim is null;
end
$$;
--;
comment on function recovery.resume_webhook(text) is
    'Sends again what a paused webhook has to get, and tries at once what has failed. RC010 there is none.';
--;
revoke all on function recovery.resume_webhook(text) from public;
--;
-- sql/webhook/rotate_webhook.sql
create or replace function recovery.rotate_webhook(
    p_name text, p_secret text default null, p_finish boolean default false
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook := recovery._webhook_named(p_name);
begin
    if coalesce(p_finish, false) then
        if p_secret is not null then
            perform recovery._fail('RC010', 'a rotation is begun with a secret, and finished without',
                'The newest secret is the one that stays.');
        end if;
        v_webhook.secrets := v_webhook.secrets[1:1];
    else
        p_secret := coalesce(p_secret, recovery._make_webhook_secret());
        v_webhook.secrets := array[p_secret] || array_remove(v_webhook.secrets, p_secret);
    end if;
    perform recovery._check_webhook(v_webhook);
    update recovery.webhook as w set secrets = v_webhook.secrets where w.name = p_name;
    return v_webhook.secrets[1];
end
$$;
--;
comment on function recovery.rotate_webhook(text, text, boolean) is
    'Gives a webhook a new secret and returns it: deliveries are signed with it and with the old ones, until p_finish '
    'takes these away. RC010 there is none, or a bad secret, or more than four.';
--;
revoke all on function recovery.rotate_webhook(text, text, boolean) from public;
--;
-- sql/webhook/webhook_target.sql
create or replace function recovery.webhook_target(p_name text)
returns table (url text, secrets text[], allow cidr[], timeout interval, max_body integer)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._webhook_named(p_name);
    return query select w.url, w.secrets, w.allow, w.timeout, w.max_body from recovery.webhook as w
        where w.name = p_name;
end
$$;
--;
comment on function recovery.webhook_target(text) is
    'Where and how a webhook is sent to, with its secrets: for who sends. RC010 there is none.';
--;
revoke all on function recovery.webhook_target(text) from public;
--;
-- sql/status/_examinations.sql
create or replace function recovery._examinations()
returns table (name text, call text)
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- $1: a watch, and then it is called for each; $2: the patience.
    select * from (values
        ('login', 'recovery._examine_login()'),
        ('database', 'recovery._examine_database()'),
        ('roles', 'recovery._examine_roles()'),
        ('leftovers', 'recovery._examine_leftovers()'),
        ('watches', 'recovery._examine_watch($1)'),
        ('triggers', 'recovery._examine_triggers($1)'),
        ('indexes', 'recovery._examine_indexes($1)'),
        ('sweeps', 'recovery._examine_sweeps($2)'),
        ('servers', 'recovery._examine_servers()'),
        ('work', 'recovery._examine_work()'),
        ('entries', 'recovery._examine_entries($2)'),
        ('settings', 'recovery._examine_settings()'),
        ('transactions', 'recovery._examine_transactions($2)'),
        ('events', 'recovery._examine_events()'),
        ('consumers', 'recovery._examine_consumers($2)'),
        ('replication', 'recovery._examine_replication()'),
        ('webhooks', 'recovery._examine_webhooks($2)')
    ) as e (name, call)
$$;
--;
comment on function recovery._examinations() is 'What recovery.examine() looks at, in its order, and the call for it.';
--;
revoke all on function recovery._examinations() from public;
--;
-- sql/status/_examine_consumers.sql
-- With the rights of the caller: what is seen of other sessions depends on them.
create or replace function recovery._examine_consumers(p_patience interval)
returns setof recovery.finding
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with c as (
        select s.*, date_trunc('second', s.lag) as late, date_trunc('second', clock_timestamp() - s.seen) as away
        from recovery.consumer_status as s
    )
    select 'consumer-missed', 'warning', 'consumer', c.name,
        format('has had the events up to %s only; later ones were dropped before it read them', c.newest),
        format('its next fetch gives an event of kind gap: look at the tables then; or go on with what comes now: '
            'select recovery.move_consumer(%L);', c.name), null::text[]
    from c where c.newest < recovery.event_since('-infinity')
    union all
    select 'consumer-expired', 'warning', 'consumer', c.name,
        format('abandoned: seen %s ago, expires after %s; events are no longer kept for it', c.away, c.expires),
        format('start it again; if nobody will: select recovery.drop_consumer(%L);', c.name), null
    from c where c.state = 'expired'
    union all
    select 'consumer-behind', 'warning', 'consumer', c.name,
        format('about %s behind, the oldest of %s ago; it was seen %s ago. They are kept for it until it has them%s',
            case c.behind when 1 then '1 event' else c.behind || ' events' end, c.late, c.away,
            case when c.state = 'reading' then ', and what it fetched last is not acknowledged' end),
        format('look whether its process lives and keeps up; if nobody needs it: select recovery.drop_consumer(%L);',
            c.name), null
    from c where c.state in ('active', 'reading') and c.lag > p_patience * 60
    union all
    select 'consumer-held', 'warning', 'consumer', c.name,
        format('its position stays at %s: above it may still appear what was written by %s, in database %s, begun %s '
            'ago%s; it gets events as ever', c.position, t.who, t.database,
            date_trunc('second', clock_timestamp() - t.begun), ': ' || t.query),
        t.remedy, null
    from c cross join lateral (
        select o.* from recovery.open_transaction as o where o.begun < clock_timestamp() - p_patience
        order by o.older desc limit 1) as t
    where c.position < c.newest and c.state in ('active', 'reading')
$$;
--;
comment on function recovery._examine_consumers(interval) is
    'Consumers that are far behind, abandoned, or held up, and by whom. For recovery.examine().';
--;
revoke all on function recovery._examine_consumers(interval) from public;
--;
-- sql/status/_examine_database.sql
create or replace function recovery._examine_database()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'database-standby', 'error', 'database', current_database()::text,
        'a standby: servers, sweeps and consumers need the primary', 'connect to the primary', null::text[]
    where pg_is_in_recovery()
    union all
    select 'wraparound-near', 'error', 'database', d.datname,
        format('%s transactions old: PostgreSQL refuses writes at 2 billion', age(d.datfrozenxid)),
        'vacuum (freeze);', null
    from pg_database as d where d.datname = current_database() and age(d.datfrozenxid) > 1500000000
    union all
    select 'row-missing', 'error', 'table', t.name, 'its one row is missing', null,
        array[format('insert into %s default values;', t.name)]
    from (values ('recovery.observation', exists (select from recovery.observation)),
        ('recovery.clock', exists (select from recovery.clock)),
        ('recovery.event_floor', exists (select from recovery.event_floor))) as t (name, filled)
    where not t.filled
    union all
    select 'owner-changed', 'error', 'database', current_database()::text,
        format('%s of %s objects of schema recovery do not belong to recovery_owner: restored without owners',
            count(*) filter (where not o.ours), count(*)),
        case when count(*) filter (where not o.ours) > 3 then 'recovery doctor --fix' end,
        array_agg(format('alter %s %s owner to recovery_owner;', o.what, o.name) order by o.what, o.name)
            filter (where not o.ours)
    from (
        select c.oid::regclass::text as name, case c.relkind when 'v' then 'view' else 'table' end as what,
            c.relowner = 'recovery_owner'::regrole as ours
        from pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind in ('r', 'p', 'v')
            and c.relname <> 'alembic_version'
        union all
        select f.oid::regprocedure::text, case f.prokind when 'p' then 'procedure' else 'function' end,
            f.proowner = 'recovery_owner'::regrole
        from pg_proc as f where f.pronamespace = 'recovery'::regnamespace and f.proname !~ '^watch_[0-9]+_') as o
    having bool_or(not o.ours)
    union all
    select 'own-trigger-disabled', 'error', 'table', t.tgrelid::regclass::text,
        format('its trigger %s is disabled', t.tgname), null,
        array[format('alter table %s enable %strigger %I;', t.tgrelid::regclass,
            case when t.tgname = 'recovery_00_stay_local' then 'replica ' end, t.tgname)]
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace = 'recovery'::regnamespace and not t.tgisinternal and t.tgenabled = 'D'
$$;
--;
comment on function recovery._examine_database() is
    'What is wrong with the database, and with our own tables. For recovery.examine().';
--;
revoke all on function recovery._examine_database() from public;
--;
-- sql/status/_examine_entries.sql
create or replace function recovery._examine_entries(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'entry-impossible', 'error', p.kind, p.name, p.problem, p.remedy,
        -- An impossible fuse guards nothing, and an impossible process is nobody's.
        case when p.kind in ('fuse', 'process') then array[p.remedy] end
    from recovery.problem as p where p.kind in ('fuse', 'process', 'server')
    union all
    select 'partition-left', 'warning', 'watch', p.name, p.problem, p.remedy, null
    from recovery.problem as p where p.kind = 'partition'
    union all
    select 'fuse-late', 'warning', 'fuse', f.id::text,
        format('on %s %s of %s: nobody has extended it since %s before it should have burnt out', f.scope, f.key,
            f.watch, date_trunc('second', recovery._now() - f.expires)),
        format('select recovery.cancel_fuse(%s);', f.id), null
    from recovery.fuse_state as f
    where f.burns and isfinite(f.expires) and f.expires < recovery._now() - p_patience
$$;
--;
comment on function recovery._examine_entries(interval) is
    'Servers, fuses and processes that cannot be, and fuses that nobody extends. For recovery.examine().';
--;
revoke all on function recovery._examine_entries(interval) from public;
--;
-- sql/status/_examine_events.sql
create or replace function recovery._examine_events()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'events-large', 'note', 'table', 'recovery.outbox',
        format('%s, about %s records, the oldest of %s', pg_size_pretty(s.size), s.records, o.at::date),
        'plan for the space, or keep them for a shorter time: recovery config set event_retention 3d', null::text[]
    from (
        select sum(pg_total_relation_size(c.oid)) as size, sum(greatest(c.reltuples, 0))::bigint as records
        from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'recovery.outbox'::regclass) as s
    cross join lateral (select e.at from recovery.outbox as e order by e.id limit 1) as o
    where s.size > 1024 * 1024 * 1024::bigint
$$;
--;
comment on function recovery._examine_events() is 'How much room the events take. For recovery.examine().';
--;
revoke all on function recovery._examine_events() from public;
--;
-- sql/status/_examine_indexes.sql
create or replace function recovery._examine_indexes(p_watch recovery.watch)
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
    -- What is built of built-in types only runs no code, whoever builds it; else the runner does, in a transaction.
    with made as (
        select k.kind, format('recovery_%s_%s', k.kind, p_watch.id) as name, t.relnamespace, s.slow,
            case when s.slow then format('select recovery.alter(%L, %L);', p_watch.relation, '{}')
                 else recovery._index_sql(p_watch, k.kind, p_how => 'concurrently') || ';' end as statement
        from (values ('open'), ('started')) as k (kind)
        join pg_class as t on t.oid = p_watch.relation
        cross join lateral (select t.relkind = 'p' or not p_watch.plain as slow) as s
        where k.kind = 'open' or p_watch.supervised is not null
    )
    select 'index-missing', 'error', 'watch', p_watch.name,
        format('%s lacks the index %s: each sweep reads the whole table', p_watch.relation, m.name), null::text,
        array[m.statement]
    from made as m
    where not exists (select from pg_class as c where c.relnamespace = m.relnamespace and c.relname = m.name)
    union all
    select case f.what when 'reindex' then 'index-invalid' when 'rename' then 'index-name-taken'
            else 'index-changed' end, 'error', 'watch', p_watch.name, i.problem,
        case when f.what = 'rename' then
            format('%s %s rename to %I;', case r.relkind when 'i' then 'alter index' when 'I' then 'alter index'
                when 'S' then 'alter sequence' when 'v' then 'alter view' else 'alter table' end, r.oid::regclass,
                'not_' || m.name) end,
        case f.what when 'reindex' then array[i.remedy]
            when 'drop' then array[format('drop index %s%s;', case when r.relkind = 'i' then 'concurrently ' end,
                r.oid::regclass), m.statement] end
    from made as m
    cross join lateral recovery._index_problem(p_watch, m.kind) as i
    cross join lateral (select substring(i.remedy from '^\w+') as what) as f
    join pg_class as r on r.relnamespace = m.relnamespace and r.relname = m.name
    where i.problem is not null
$$;
--;
comment on function recovery._examine_indexes(recovery.watch) is
    'What is wrong with the indexes of a watch. For recovery.examine().';
--;
revoke all on function recovery._examine_indexes(recovery.watch) from public;
--;
-- sql/status/_examine_leftovers.sql
create or replace function recovery._examine_leftovers()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'watch-table-gone', 'error', 'watch', w.name, 'its table was dropped', null,
        array[format('select recovery.detach(%L);', w.relation::oid)]
    from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation)
    union all
    select 'watch-unfinished', 'warning', 'watch', w.name,
        format('attaching %s, or detaching it, was begun and has not ended: nothing is closed there', w.relation),
        format('repeat it, it goes on; or: select recovery.detach(%L);', w.relation), null
    from recovery.watch as w
    where w.attached is null and exists (select from pg_class as c where c.oid = w.relation)
    union all
    select 'watch-lost', 'error', 'table', t.tgrelid::regclass::text,
        'has our triggers, and is not watched: restored without its watch', null,
        array_agg(format('drop trigger %I on %s;', t.tgname, t.tgrelid::regclass) order by t.tgname)
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and not t.tgisinternal and t.tgparentid = 0
      and c.relnamespace <> 'recovery'::regnamespace
      and not exists (select from recovery.watch as w where w.relation = t.tgrelid)
    group by t.tgrelid
    union all
    select 'leftover-routine', 'warning', 'database', current_database()::text,
        format('%s is of no watch', p.oid::regprocedure), null, array[format('drop function %s;', p.oid::regprocedure)]
    from pg_proc as p
    where p.pronamespace = 'recovery'::regnamespace and p.proname ~ '^watch_[0-9]+_'
      and not exists (
          select from recovery.watch as w where w.id::text = substring(p.proname from '^watch_([0-9]+)_'))
      and not exists (select from pg_trigger as t where t.tgfoid = p.oid)
    union all
    select 'leftover-view', 'warning', 'database', current_database()::text,
        format('%s is of no watch', c.oid::regclass), null, array[format('drop view %s;', c.oid::regclass)]
    from pg_class as c
    where c.relnamespace = 'recovery'::regnamespace and c.relkind = 'v' and c.relname ~ '^outbox_[0-9]+(_single)?$'
      and not exists (
          select from recovery.watch as w where w.outbox::text = substring(c.relname from '^outbox_([0-9]+)'))
    union all
    select 'leftover-index', 'warning', 'table', i.indrelid::regclass::text,
        format('its index %s is of no watch', c.oid::regclass), null,
        array[format('drop index %s%s;', case when c.relkind = 'i' then 'concurrently ' end, c.oid::regclass)]
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relname ~ '^recovery_(open|started)_[0-9]+$' and c.relnamespace <> 'recovery'::regnamespace
      and not c.relispartition
      and not exists (select from recovery.watch as w where w.id::text = substring(c.relname from '[0-9]+$'))
$$;
--;
comment on function recovery._examine_leftovers() is
    'What is left of tables that were dropped, and of watches that are gone. For recovery.examine().';
--;
revoke all on function recovery._examine_leftovers() from public;
--;
-- sql/status/_examine_login.sql
create or replace function recovery._examine_login()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'login-superuser', 'warning', 'role', session_user::text,
        'a superuser: a deferred trigger of a watched table may run with its rights',
        'log in as a member of recovery_server', null::text[]
    from pg_roles as r
    where r.rolname = session_user and r.rolsuper and current_setting('server_version_num')::integer < 180000
    union all
    select 'login-reads-only', 'note', 'role', session_user::text, 'may look, but neither boot nor sweep',
        format('grant recovery_server to %I;', session_user), null
    where not pg_has_role(session_user, to_regrole('recovery_server'), 'usage')
    union all
    select 'sessions-hidden', 'note', 'role', session_user::text,
        'does not see since when other roles'' transactions are open: long ones were not looked for',
        format('grant pg_read_all_stats to %I;', session_user), null
    where not pg_has_role(session_user, 'pg_read_all_stats', 'usage')
$$;
--;
comment on function recovery._examine_login() is 'What is wrong with the login that asks. For recovery.examine().';
--;
revoke all on function recovery._examine_login() from public;
--;
-- sql/status/_examine_replication.sql
create or replace function recovery._examine_replication()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'table-subscribed', 'note', 'watch', w.name,
        'written by a subscription: open rows of its publisher are left alone',
        'a server takes a row over by writing its server_epoch; dropping the subscription makes them orphans',
        null::text[]
    from recovery._attached_watches() as w where recovery._is_replicated(w.family)
    union all
    select 'schema-subscribed', 'note', 'database', current_database()::text,
        format('subscription %I writes schema recovery, too: what it brings is dropped', b.subname),
        'publish the application''s tables by name or by schema', null
    from pg_subscription as b
    where exists (select from pg_subscription_rel as s join pg_class as c on c.oid = s.srrelid where s.srsubid = b.oid
        and c.relnamespace = 'recovery'::regnamespace)
$$;
--;
comment on function recovery._examine_replication() is 'What logical replication writes here. For recovery.examine().';
--;
revoke all on function recovery._examine_replication() from public;
--;
-- sql/status/_examine_roles.sql
create or replace function recovery._examine_roles()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with ours (name) as (
        select * from unnest(array['recovery_server', 'recovery_listener', 'recovery_runner'])
        union select n.role::text from recovery.runner as n
    ), needs (role, routine) as (
        -- Without these nothing works; a restore without privileges has none of them.
        select 'recovery_server', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('boot', 'sweep', 'shutdown', 'heartbeat',
            'keeper_heartbeat', 'claim_sweep', 'touch', 'light_fuse', 'extend_fuses', 'cancel_fuse')
        union all
        select 'recovery_listener', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('version', 'timeline')
        union all
        select r.name, p.oid
        from pg_proc as p cross join (values ('recovery_server'), ('recovery_listener')) as r (name)
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('read', 'page', 'tail', 'event_range',
            'event_since', 'latest', 'create_consumer', 'fetch', 'acknowledge', 'move_consumer', 'drop_consumer')
        union all
        select 'recovery_runner', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('_fence_write', '_announce_written')
    )
    select 'role-missing', 'error', 'role', o.name, 'does not exist', null,
        case when n.owner is null then array[format('create role %I nologin;', o.name)]
             when exists (select from pg_roles as r where r.oid = n.owner)
             then array[format('select recovery.permit(%L);', n.owner)] end
    from ours as o left join recovery.runner as n on n.role = o.name
    where not exists (select from pg_roles as r where r.rolname = o.name)
    union all
    select 'role-unsafe', 'error', 'role', r.rolname, 'can log in or has rights of its own',
        format('alter role %I nologin nosuperuser nocreaterole noreplication;', r.rolname), null
    from ours as o join pg_roles as r on r.rolname = o.name
    where r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolreplication
    union all
    select 'runner-invalid', 'error', 'role', n.role::text, format('is not what runs for %s any more', n.owner), null,
        array[format('select recovery.permit(%L);', n.owner)]
    from recovery.runner as n join pg_roles as r on r.rolname = n.role join pg_roles as o on o.oid = n.owner
    where not pg_has_role(r.oid, to_regrole('recovery_runner'), 'usage')
       or not n.privileged and not pg_has_role(r.oid, o.oid, 'usage')
       or to_regprocedure(format('recovery_private.run_%s(text, recovery.task, text)', n.id)) is null
    union all
    select 'grant-missing', 'error', 'role', d.role, format('may not execute %s', d.routine::regprocedure), null,
        array[format('grant execute on routine %s to %I;', d.routine::regprocedure, d.role)]
    from needs as d join pg_roles as r on r.rolname = d.role
    where not has_function_privilege(r.oid, d.routine, 'execute')
    union all
    select 'grant-missing', 'error', 'role', r.rolname, 'may not use schema recovery', null,
        array[format('grant usage on schema recovery to %I;', r.rolname)]
    from pg_roles as r
    where r.rolname in ('recovery_server', 'recovery_listener', 'recovery_runner')
      and not has_schema_privilege(r.oid, 'recovery', 'usage')
    union all
    select 'grant-missing', 'error', 'role', r.rolname, 'may not read recovery.event', null,
        array[format('grant select on recovery.event to %I;', r.rolname)]
    from pg_roles as r
    where r.rolname in ('recovery_server', 'recovery_listener')
        and not has_table_privilege(r.oid, 'recovery.event', 'select')
$$;
--;
comment on function recovery._examine_roles() is
    'What is wrong with our roles, the runners and their rights. For recovery.examine().';
--;
revoke all on function recovery._examine_roles() from public;
--;
-- sql/status/_examine_servers.sql
create or replace function recovery._examine_servers()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with live as materialized (
        select s.*, format('%s (epoch %s)', s.name, s.epoch) as said from recovery.server as s where s.ended is null
    ), sessions as materialized (
        select distinct r.oid, r.rolname, r.rolsuper, split_part(a.application_name, ':', 2) as does
        from pg_stat_activity as a join pg_roles as r on r.oid = a.usesysid
        where a.datname = current_database() and a.application_name ~ '^recovery:(keeper|guard|boot|listener)(:|#|$)'
    )
    select 'death-held', 'warning', 'server', s.said,
        format('looks dead, and is not declared dead%s: %s', ' before ' || date_trunc('second', j.held_until),
            j.held_because), format('recovery evict %s', s.epoch), null::text[]
    from live as s join recovery.judgement as j on j.epoch = s.epoch where j.held_because is not null
    union all
    select 'end-pending', 'warning', 'server', s.said,
        format('is to end (%s), but a transaction of its own is open%s', s.pending, l.held),
        format('recovery evict %s --terminate-backends', s.epoch), null
    from live as s
    cross join lateral (
        select ' in ' || string_agg(distinct coalesce('backend ' || l.pid, 'a prepared transaction'), ', ') as held
        from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = s.epoch) as l
    where s.pending is not null
    union all
    select 'versions-differ', 'note', 'database', current_database()::text,
        format('live servers have different versions: %s',
            string_agg(format('%s %s', v.name, v.versions), ', ' order by v.name)), 'finish the roll-out', null
    from (
        select s.name, string_agg(distinct s.version, ' and ' order by s.version) as versions from live as s
        where s.version is not null group by s.name having count(distinct s.version) > 1) as v
    having count(*) > 0
    union all
    select 'server-pooled', 'note', 'server', s.said,
        'its keeper goes through a pooler: its death is found by the lease alone',
        'give it a connection that goes to PostgreSQL itself (direct=...)', null
    from live as s where not s.keeper and s.beat is not null
    union all
    select 'clock-skew', 'warning', 'server', s.said,
        format('its process started %s after it booted: the clock of %s is ahead of the database''s',
            date_trunc('second', s.process_start - s.booted), coalesce(split_part(s.host, '#', 1), 'its host')),
        'set the clocks (NTP)', null
    from live as s where isfinite(s.process_start) and s.process_start > s.booted + interval '2 seconds'
    union all
    select 'clock-back', 'warning', 'server', s.said,
        format('its last heartbeat lies %s in the future: the clock of the database went back',
            date_trunc('second', s.heartbeat - recovery._now())), 'set the clock of the database (NTP)', null
    from live as s where s.heartbeat > recovery._now() + interval '2 seconds'
    union all
    select 'server-lacks-role', 'error', 'role', s.rolname,
        case s.does when 'listener' then 'listens, and may not read events any more'
             else 'runs a server, and may not any more: its heartbeats fail' end,
        format('grant %I to %I;', case s.does when 'listener' then 'recovery_listener' else 'recovery_server' end,
            s.rolname), null
    from sessions as s
    where not pg_has_role(s.oid, to_regrole('recovery_server'), 'usage')
      and not (s.does = 'listener' and pg_has_role(s.oid, to_regrole('recovery_listener'), 'usage'))
    union all
    select distinct 'server-superuser',
        case when current_setting('server_version_num')::integer < 180000 then 'warning' else 'note' end, 'role',
        s.rolname, 'a server logs in as a superuser: it needs no more than recovery_server',
        'give it a login of its own, a member of recovery_server', null::text[]
    from sessions as s where s.rolsuper
$$;
--;
comment on function recovery._examine_servers() is
    'What is wrong with servers that have not ended, and with their logins. For recovery.examine().';
--;
revoke all on function recovery._examine_servers() from public;
--;
-- sql/status/_examine_settings.sql
create or replace function recovery._examine_settings()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'replica-role', 'error', 'setting', p.name, p.problem, p.remedy, null::text[]
    from recovery.problem as p where p.kind = 'setting'
    union all
    select 'timeout-unsupervised', 'warning', 'setting', s.name,
        format('%s for %s does nothing: nothing there is supervised', s.value,
            case when s.watch = '' then 'every watch' else 'watch ' || s.watch end),
        format('recovery config unset %s%s, or call recovery.supervise', s.name, ' --watch ' || nullif(s.watch, '')),
        null
    from recovery.setting as s
    where s.name in ('tool_timeout', 'task_timeout') and s.value <> 'off' and s.kind = '' and s.group_key = ''
      and exists (select from recovery._attached_watches() as w where s.watch in ('', w.name))
      and not exists (
          select from recovery._attached_watches() as w where s.watch in ('', w.name) and w.supervised is not null)
    union all
    select 'setting-unused', 'note', 'setting', s.name, format('is set for %s, which is not watched', s.watch),
        format('select recovery.configure(%L, null, %L, nullif(%L, %4$L), nullif(%L, %4$L));', s.name, s.watch, s.kind,
            '', s.group_key), null
    from recovery.setting as s
    where s.watch <> '' and not exists (select from recovery._attached_watches() as w where w.name = s.watch)
$$;
--;
comment on function recovery._examine_settings() is 'Settings that do harm, or nothing. For recovery.examine().';
--;
revoke all on function recovery._examine_settings() from public;
--;
-- sql/status/_examine_sweeps.sql
create or replace function recovery._examine_sweeps(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'sweep-missing', 'error', 'database', current_database()::text,
        coalesce('nobody has swept for ' || date_trunc('second', recovery._now() - o.swept), 'nobody has swept yet'),
        'recovery sweep', null::text[]
    from recovery.observation as o
    where coalesce(o.swept < recovery._now() - p_patience, true) and exists (select from recovery._attached_watches())
    union all
    select 'sweep-slow', 'warning', 'database', current_database()::text,
        format('sweeps come every %s, and the shortest lease is %s: who dies is found that much later',
            date_trunc('second', u.every), min(s.lease)),
        'sweep more often (recovery.serve, or cron), or give servers a longer lease', null
    from recovery.observation as o
    cross join lateral (select greatest(o.gap, o.sweeper_every) as every) as u
    join recovery.server as s on s.ended is null and s.lease < u.every
    group by u.every
    union all
    select 'lease-tight', 'warning', 'server', format('%s (epoch %s)', s.name, s.epoch),
        format('beats every %s for a lease of %s: one beat that comes late ends it', s.beat, s.lease),
        'give it a longer lease', null
    from recovery.server as s where s.ended is null and s.beat * 2 > s.lease
$$;
--;
comment on function recovery._examine_sweeps(interval) is
    'Sweeps that do not come, or too seldom for the leases. For recovery.examine().';
--;
revoke all on function recovery._examine_sweeps(interval) from public;
--;
-- sql/status/_examine_transactions.sql
-- With the rights of the caller: what is seen of other sessions depends on them.
create or replace function recovery._examine_transactions(p_patience interval)
returns setof recovery.finding
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- What is not settled may still appear: of any transaction of the whole cluster that has an id.
    select case when t.pid is null then 'transaction-prepared' else 'transaction-long' end, 'warning', 'session',
        coalesce(t.pid::text, t.gid),
        concat_ws('', t.who, ', in database ', t.database, ': it writes since ',
            date_trunc('second', clock_timestamp() - t.begun), ' ago; until it ends, consumers get events as ever, but '
            'what is settled and their positions stay where they are', ': ' || t.query),
        t.remedy, null::text[]
    from recovery.open_transaction as t where t.begun < clock_timestamp() - p_patience
    union all
    select 'snapshot-old', 'warning', 'session', a.pid::text,
        format('%s (%s) reads for %s with one snapshot: what was closed since is not cleaned up, and each sweep '
            'passes over it', a.usename, coalesce(nullif(a.application_name, ''), 'no application_name'),
            date_trunc('second', clock_timestamp() - a.xact_start)),
        format('select pg_terminate_backend(%s);', a.pid), null
    from pg_stat_activity as a
    where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and a.backend_xid is null
      and a.backend_xmin is not null and a.datname = current_database()
      and a.xact_start < clock_timestamp() - p_patience * 60
    union all
    select 'slot-idle', 'warning', 'database', s.slot_name,
        format('a replication slot that nobody reads keeps %s of WAL%s', pg_size_pretty(l.kept),
            case when coalesce(s.xmin, s.catalog_xmin) is not null
                 then format(' and old rows, %s transactions back',
                     greatest(age(s.xmin), age(s.catalog_xmin))) end),
        format('select pg_drop_replication_slot(%L);', s.slot_name), null
    from pg_replication_slots as s
    cross join lateral (select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn()
        else pg_current_wal_lsn() end, s.restart_lsn) as kept) as l
    where not s.active and l.kept > 64 * 1024 * 1024
$$;
--;
comment on function recovery._examine_transactions(interval) is
    'Transactions, snapshots and replication slots that hold up consumers of events, or vacuum. For '
    'recovery.examine().';
--;
revoke all on function recovery._examine_transactions(interval) from public;
--;
-- sql/status/_examine_triggers.sql
create or replace function recovery._examine_triggers(p_watch recovery.watch)
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
    with ours as (
        select t.*, p.pronamespace = 'recovery'::regnamespace
            and (p.proname !~ '^watch_' or p.proname ~ format('^watch_%s_', p_watch.id)) as made
        from (
            select p_watch.relation::oid as oid union select l.relid from pg_partition_tree(p_watch.relation) as l) as l
        join pg_trigger as t on t.tgrelid = l.oid join pg_proc as p on p.oid = t.tgfoid
        where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
    )
    select 'trigger-missing', 'error', 'watch', p_watch.name,
        format('%s lacks the trigger%s %s', p_watch.relation, case when count(*) > 1 then 's' end,
            string_agg(d.name, ', ' order by d.name)), null::text,
        array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from recovery._trigger_definitions(p_watch) as d
    where not exists (select from ours as t where t.tgrelid = p_watch.relation and t.tgname = d.name)
    having count(*) > 0
    union all
    select 'trigger-disabled', 'error', 'watch', p_watch.name,
        format('%s of %s %s', t.tgname, t.tgrelid::regclass, case t.tgenabled
            when 'D' then 'is disabled: writes are neither fenced nor told'
            when 'R' then 'is enabled for replicas only: writes are neither fenced nor told'
            else 'is enabled for replicas, too: a subscription of this table stops at the fence' end), null,
        array[format('alter table %s enable trigger %I;', t.tgrelid::regclass, t.tgname)]
    from ours as t where t.tgenabled <> 'O' and t.made
    union all
    select 'trigger-changed', 'error', 'watch', p_watch.name,
        format('%s of %s is not the one that recovery.attach made', t.tgname, t.tgrelid::regclass), null,
        array[format('drop trigger %I on %s;', t.tgname, t.tgrelid::regclass),
            format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from ours as t where not t.made and t.tgparentid = 0
    union all
    select 'routine-changed', 'error', 'watch', p_watch.name,
        format('%s is not the one that recovery.attach made', p.oid::regprocedure), null,
        array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from pg_proc as p join recovery.runner as n on n.id = p_watch.runner
    cross join lateral (select substring(p.proname from '^watch_[0-9]+_(.*)$') as operation) as o
    where p.pronamespace = 'recovery'::regnamespace and p.proname ~ format('^watch_%s_', p_watch.id)
      and o.operation in ('before_insert', 'before_update', 'before_delete', 'insert', 'update', 'delete', 'truncate')
      and (p.prosrc <> recovery._trigger_sql(p_watch, o.operation) or not p.prosecdef
           or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp']
           or p.proowner is distinct from (select r.oid from pg_roles as r where r.rolname = n.role))
$$;
--;
comment on function recovery._examine_triggers(recovery.watch) is
    'What is wrong with the triggers of a watch and with their functions. For recovery.examine().';
--;
revoke all on function recovery._examine_triggers(recovery.watch) from public;
--;
-- sql/status/_examine_watch.sql
create or replace function recovery._examine_watch(p_watch recovery.watch)
returns setof recovery.finding
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
    v_repair constant text[] := array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')];
    v_runner recovery.runner;
    v_hint   text;
    v_broken boolean := false;
begin
    select r.* into v_runner from recovery.runner as r where r.id = p_watch.runner;
    return query
        select 'column-missing', 'error', 'watch', p_watch.name,
            format('%s has no column %s any more', p_watch.relation, c.name),
            case when not (c.name = 'server_epoch' and p_watch.own_column)
                 then format('select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now',
                     p_watch.relation) end,
            case when c.name = 'server_epoch' and p_watch.own_column then v_repair end
        from (
            select 'server_epoch' as name union select * from unnest(p_watch.key_columns)
            union select * from jsonb_object_keys(p_watch.close)
            union select * from jsonb_object_keys(coalesce(p_watch.requeue, '{}'))
            union select p_watch.attempts where p_watch.attempts is not null) as c
        where not exists (
            select from pg_attribute as a
            where a.attrelid = p_watch.relation and a.attname = c.name and a.attnum > 0 and not a.attisdropped);
    v_broken := found;
    return query
        select 'table-grant-missing', 'error', 'watch', p_watch.name,
            format('its runner %s may not %s %s', v_runner.role, p.privilege, p_watch.relation), null, v_repair
        from unnest(array['select', 'update']) as p (privilege) join pg_roles as r on r.rolname = v_runner.role
        where (v_runner.privileged or pg_has_role(r.oid, v_runner.owner, 'usage'))
          and not has_table_privilege(r.oid, p_watch.relation, p.privilege)
        limit 1;
    v_broken := v_broken or found;
    begin
        perform recovery._rehearse_watch(p_watch.relation);
    exception when lock_not_available then
        raise;  -- nothing is known of it: recovery.examine() says so
    when others then
        get stacked diagnostics v_hint = pg_exception_hint;
        if sqlerrm like 'row security of %' then
            return query select 'watch-row-security', 'error', 'watch', p_watch.name, sqlerrm,
                format('alter role %I bypassrls;', v_runner.role), null::text[];
        elsif not v_broken then
            return query select 'watch-broken', 'error', 'watch', p_watch.name, sqlerrm, concat_ws(' ',
                nullif(v_hint, ''), format('Repair it, or change the watch: '
                    'select recovery.alter(%L, ''{"option": "expression"}'');', p_watch.relation)), null::text[];
        end if;
        v_broken := true;
    end;
    return query
        select 'watch-broken', 'error', 'watch', b.watch, format('%s (since %s)', b.message,
            date_trunc('second', b.since)),
            b.remedy, null::text[]
        from recovery.broken_watch as b where b.watch = p_watch.name and not v_broken
          -- Else something has changed since, and the next sweep looks again.
          and (b.state is null or b.state = recovery._table_state(p_watch));
    return query
        select 'watch-stale', 'warning', 'watch', p_watch.name,
            format('%s has got triggers since it was attached: what they change is not noticed', p_watch.relation),
            null, v_repair
        where recovery._is_stale(p_watch.relation);
end
$$;
--;
comment on function recovery._examine_watch(recovery.watch) is
    'What is wrong with a watch: columns and rights that are gone, statements that cannot be planned. For '
    'recovery.examine().';
--;
revoke all on function recovery._examine_watch(recovery.watch) from public;
--;
-- sql/status/_examine_webhooks.sql
create or replace function recovery._examine_webhooks(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with w as materialized (select s.* from recovery.webhook_status as s)
    select 'webhook-unsent', 'error', 'webhook', w.name,
        format('nobody sends: an event has been due for %s', date_trunc('second', recovery._now() - d.next_at)),
        'recovery webhooks run', null::text[]
    from w cross join lateral (
        select d.next_at from recovery.webhook_delivery as d
        where d.webhook = w.name and d.state = 'pending' order by d.next_at limit 1) as d
    where w.paused is null and d.next_at < recovery._now() - p_patience
    union all
    -- What nobody has collected is not due yet; who sends asks for it at least once a minute.
    select 'webhook-unsent', 'error', 'webhook', w.name,
        format('nobody sends: nobody has asked for its events for %s',
            date_trunc('second', clock_timestamp() - c.seen)),
        'recovery webhooks run', null
    from w join recovery.consumer as c on c.name = 'webhook:' || w.name
    where w.paused is null and w.lag > p_patience and c.seen < clock_timestamp() - p_patience - interval '1 minute'
      and not exists (select from recovery.webhook_delivery as d where d.webhook = w.name and d.state = 'pending'
          and d.next_at < recovery._now() - p_patience)
    union all
    select 'webhook-down', 'error', 'webhook', w.name,
        format('its receiver is down: %s attempts have failed, the last one with: %s', w.failures, w.error),
        format('recovery webhook test %s', w.name), null
    from w where w.state = 'down'
    union all
    select 'webhook-paused', 'warning', 'webhook', w.name,
        format('paused since %s: %s', to_char(w.paused, 'YYYY-MM-DD HH24:MI'), coalesce(w.paused_because, 'by hand')),
        format('recovery webhook resume %s', w.name), null
    from w where w.paused is not null
    union all
    select 'webhook-dead', 'warning', 'webhook', w.name,
        format('%s events were given up, the last one with: %s', w.dead, coalesce(l.error, 'no answer')),
        format('recovery webhook dead %1$s, then recovery webhook redeliver %1$s', w.name), null
    from w cross join lateral (
        select d.error from recovery.dead_letter as d where d.webhook = w.name order by d.died desc limit 1) as l
    union all
    select 'webhook-rotating', 'note', 'webhook', w.name,
        format('signs with %s secrets', w.secrets),
        format('once the receiver knows the newest one: recovery webhook rotate %s --finish', w.name), null
    from w where w.secrets > 1
    union all
    select 'webhook-consumer', 'error', 'webhook', w.name,
        'its consumer was dropped: it gets no more events',
        format('recovery webhook add %s --name %s --replace, with its filters', w.url, w.name), null
    from w where not exists (select from recovery.consumer as c where c.name = 'webhook:' || w.name)
$$;
--;
comment on function recovery._examine_webhooks(interval) is
    'Webhooks that nobody sends, that nobody takes, and what they have given up. For recovery.examine().';
--;
revoke all on function recovery._examine_webhooks(interval) from public;
--;
-- sql/status/_examine_work.sql
create or replace function recovery._examine_work()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with w as materialized (
        select s.*, a.unowned is not null
            or recovery.get_setting('unowned_expected', s.watch) = 'true' as expected
        from recovery.watch_status as s join recovery._attached_watches() as a on a.name = s.watch
    ), opened as (
        -- The newest events only: cheap, and an old one would say nothing of today's writers.
        select e.watch, count(*) as all, count(*) filter (where e.server_epoch is null) as unowned
        from (select o.* from recovery.outbox as o order by o.id desc limit 1000) as e
        where e.kind in ('opened', 'reopened') and e.at > clock_timestamp() - interval '1 hour'
        group by e.watch
    )
    select case when o.unowned > 0 then 'writer-unbound' else 'rows-unowned' end,
        case when o.unowned > 0 then 'error' else 'warning' end, 'watch', w.watch,
        format('%s of %s open rows (%s %%) belong to nobody: no one notices when their process dies', w.unowned,
            w.open_rows, round(100.0 * w.unowned / w.open_rows))
            || case when o.unowned > 0 then format('; so did %s of the last %s that were opened', o.unowned, o.all)
                    else '; none was opened lately' end,
        case when o.unowned > 0 then format('bind what writes them (recovery.serve), or, if that is meant: '
                 'recovery config set unowned_expected true --watch %s', w.watch)
             else format('close them (recovery close), or, if that is meant: '
                 'recovery config set unowned_expected true --watch %s', w.watch) end,
        null::text[]
    from w left join opened as o on o.watch = w.watch
    where w.unowned > 0 and w.expected is not true
    union all
    select 'rows-orphaned', 'warning', 'watch', w.watch,
        format('%s open rows of servers that have ended', w.orphans), 'recovery sweep', null
    from w where w.orphans > 0
    union all
    select 'rows-failing', 'error', 'watch', f.watch,
        format('%s rows cannot be closed, the last one (%s, tried %s times): %s', count(*),
            (array_agg(f.key order by f.last_at desc))[1], (array_agg(f.attempts order by f.last_at desc))[1],
            (array_agg(f.message order by f.last_at desc))[1]),
        'repair what refuses it: it is tried again by itself', null
    from recovery.failure as f group by f.watch
$$;
--;
comment on function recovery._examine_work() is
    'Open rows that nobody owns, or that stay open. For recovery.examine().';
--;
revoke all on function recovery._examine_work() from public;
--;
-- sql/status/examine.sql
create or replace function recovery.examine(p_about text default null, p_patience interval default interval '1 minute')
returns setof recovery.finding
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
/* With the rights of its caller, which alone decide what it sees of other sessions; what needs ours is done by the
   functions that it calls. One that fails stops no other. */
declare
    v_check   record;
    v_watch   recovery.watch;
    v_finding recovery.finding;
begin
    if p_about is not null and not exists (select from recovery._examinations() as e where e.name = p_about) then
        perform recovery._fail('RC010', format('there is no examination %s', quote_literal(left(p_about, 60))),
            format('There are %s.', (select string_agg(e.name, ', ') from recovery._examinations() as e)));
    elsif p_patience < interval '0' then
        perform recovery._fail('RC010', format('patience %s is below 0', p_patience));
    end if;
    for v_check in select e.name, e.call, e.call like '%$1%' as each from recovery._examinations() as e
        where e.name = p_about or p_about is null
    loop
        for v_watch in
            select w.* from (select 1 where not v_check.each) as o full join (
                select a.* from recovery._attached_watches() as a where v_check.each) as w on false
            order by w.family, w.position, w.name
        loop
            begin
                for v_finding in execute format('select * from %s', v_check.call) using v_watch, p_patience loop
                    v_finding.remedy := coalesce(v_finding.remedy, array_to_string(v_finding.fix, ' '));
                    return next v_finding;
                end loop;
            exception when others then
                return query select
                    'check-failed', 'warning', 'check', concat_ws(' of ', v_check.name, v_watch.name),
                    format('could not be done: %s', sqlerrm),
                    case when sqlstate = '42501' then format('grant recovery_listener to %I;', session_user)
                         when sqlstate = '55P03' then 'ask again: somebody holds a lock on what it reads'
                         else 'repair what it says, and ask again' end,
                    null::text[];
            end;
        end loop;
    end loop;
end
$$;
--;
comment on function recovery.examine(text, interval) is
    'What recovery doctor shows: all that is wrong, with what to type; of one subject (p_about) or of all. p_patience: '
    'how long sweeps may not come, a fuse may be late and a transaction may be open. It changes nothing, waits a '
    'second for a lock at most, and names the checks that could not be done. RC010 no such subject.';
--;
revoke all on function recovery.examine(text, interval) from public;
--;
-- sql/status/open_work.sql
create or replace function recovery.open_work()
returns table (watch text, server_epoch bigint, open_rows bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_sql   text;
begin
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position, w.name loop
        v_sql := format('select jsonb_build_array(r.server_epoch, count(*)) from %s as r where (%s)', v_watch.relation,
            v_watch.open);
        begin
            return query select v_watch.name, (f.row ->> 0)::bigint, (f.row ->> 1)::bigint
                from recovery._run_as_owner(v_watch.runner, v_sql || coalesce(' and (' || v_watch.only_if || ')', '')
                    || ' group by r.server_epoch') as f (row);
        exception when others then
            begin
                return query select v_watch.name, (f.row ->> 0)::bigint, (f.row ->> 1)::bigint
                    from recovery._run_as_owner(v_watch.runner, v_sql || ' group by r.server_epoch') as f (row);
            exception when others then
                null;  -- broken: nothing is known of its rows
            end;  -- only_if fails for some row
        end;
    end loop;
end
$$;
--;
comment on function recovery.open_work() is 'Open rows per watch and owner; its cost follows the open rows.';
--;
revoke all on function recovery.open_work() from public;
--;
-- sql/server/boot.sql
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
--;
comment on procedure recovery.boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
    boolean, bigint, uuid, jsonb
) is
    'Boots a server: a new epoch and token; older epochs of the name end, unless they are shown to be alive, and '
    'their orphans close, a batch a transaction. With p_beat (how often it will beat) the calling session becomes the '
    'keeper''s and holds its lock; p_direct false: a pooler is in between, a lock proves nothing. Policies: '
    'supersede, replace, wait (at most p_wait), refuse. One CALL in autocommit. RC004 bad name, RC010 bad argument, '
    'RC005 name is being booted.';
--;
revoke all on procedure recovery.boot(
    text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
    boolean, bigint, uuid, jsonb
) from public;
--;
-- sql/server/shutdown.sql
create or replace procedure recovery.shutdown(
    p_epoch      bigint,
    p_token      pg_catalog.uuid  default null,
    p_heir       bigint           default null,
    p_batch      integer          default 10000,
    p_lock_wait  interval         default interval '2 seconds',
    inout report pg_catalog.jsonb default null
)
language plpgsql
security invoker
as $$
-- Not security definer and without a SET clause: it commits after each batch. So it reads its names by the caller's
-- search_path: every function, type and operator stands with its schema, which tools/check_names.py proves.
declare
    v_start   pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    v_token   pg_catalog.uuid := p_token;
    v_ended   boolean;
    v_family  pg_catalog.text;
begin
    commit; set transaction isolation level read committed, read write;  -- whatever the session begins with
    perform recovery._check_call(p_batch, p_lock_wait);
    p_lock_wait := recovery._fit_lock_wait(p_lock_wait);
    if v_token is null and pg_catalog.pg_has_role('recovery_owner', 'usage') then
        select s.token into v_token from recovery.server as s where s.epoch operator(pg_catalog.=) p_epoch;
    end if;
    perform recovery._begin_step(p_lock_wait);
    v_ended := recovery._begin_shutdown(p_epoch, v_token, p_heir, p_lock_wait);
    commit; set transaction isolation level read committed, read write;
    report := recovery._new_report(case when v_ended then array[p_epoch] else array[]::bigint[] end);
    for v_family in select distinct w.family from recovery._attached_watches() as w
        where exists (select from recovery.server as s where s.epoch operator(pg_catalog.=) p_epoch
            and (s.ended is not null or s.pending is not null))
        order by w.family
    loop
        exit when (report operator(pg_catalog.->) 'more') operator(pg_catalog.=) 'true'::pg_catalog.jsonb;
        call recovery._close_epoch(v_family, p_epoch, pg_catalog.concat('shutdown:', p_epoch), p_batch, p_lock_wait,
            p_heir, report);
    end loop;
    report := recovery._end_report(report, v_start);
end
$$;
--;
comment on procedure recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb) is
    'Ends an epoch with reason shutdown and closes what it still owns, or hands it to the live epoch p_heir. Harmless '
    'when it has ended already. RC002 unknown epoch, RC003 no token or a foreign one (recovery_owner needs none), '
    'RC001 the heir has ended.';
--;
revoke all on procedure recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb) from public;
--;
-- sql/closing/_close_epoch.sql
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
--;
comment on procedure recovery._close_epoch(
    text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz
) is
    'Closes all orphans of one ended epoch in one family, a batch a transaction: p_batch rows, from 10000 on up to '
    'four times as many while one takes less than 0.25 s. Shared by boot, sweep and shutdown. '
    'With p_heir it hands them over instead, with p_guarded only those that an active fuse guards. Beats for the '
    'booting server p_self. Stops after p_until, and says more in the report.';
--;
revoke all on procedure recovery._close_epoch(
    text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz
) from public;
--;
-- sql/closing/sweep.sql
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
--;
comment on procedure recovery.sweep(text, integer, interval, interval, jsonb) is
    'The repeating pass: ends the servers that recovery.judgement holds for dead, closes the orphans of every ended '
    'epoch, what is dead by the host''s own evidence, the units of burnt-out fuses and, after asking a live owner, '
    'what is overdue. Any number at once, anywhere. With p_budget it stops after that time, between two batches; its '
    'report then says more. One CALL in autocommit.';
--;
revoke all on procedure recovery.sweep(text, integer, interval, interval, jsonb) from public;
--;
-- sql/server/keeper_lock.sql
create or replace view recovery.keeper_lock as
select -((l.classid::bigint << 32) | l.objid::bigint) as epoch, l.pid
from pg_catalog.pg_locks as l
where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.mode = 'ExclusiveLock'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
  and ((l.classid::bigint << 32) | l.objid::bigint) < 0;
--;
comment on view recovery.keeper_lock is
    'Whose keepers are connected: the session advisory lock -epoch, which goes with its connection.';
--;
comment on column recovery.keeper_lock.epoch is 'Epoch of the server.';
--;
comment on column recovery.keeper_lock.pid is 'Server process of the session that holds it.';
--;
-- sql/death/evidence.sql
create or replace view recovery.evidence as
select
    s.epoch,
    s.name,
    s.lease,
    s.heartbeat + s.lease < c.at as lease_expired,
    coalesce(l.until < c.at, false) as connection_lost,
    s.pending,
    s.process_dead is not null as process_dead,
    coalesce(s.drain_until < c.at, false) as drain_expired,
    least(s.heartbeat + s.lease, l.until) < c.at as quiet,
    s.heartbeat + d.beat as late_since,
    least(case when k.at is not null then greatest(s.heartbeat + s.lease, k.at + d.beat) end,
          -- A look that found it late may have come as the database came back. One that found it in time leaves the
          -- beat that is due.
          case when l.until is not null
              then greatest(l.until, case when k.at > s.heartbeat + d.beat then k.at + d.beat end) end) as sure_since,
    c.at
from recovery.server as s
-- Read once: the columns must not disagree. A subquery with OFFSET is not pulled up.
cross join (select recovery._now() as at offset 0) as c
-- In that time a beat comes, if it can.
cross join lateral (select e.every + least(interval '1 second', e.every / 4) as beat
                    from (select coalesce(s.beat, s.lease / 3) as every) as e) as d
-- The first look at this heartbeat that found it late.
cross join lateral (select case when s.looked_beat = s.heartbeat then s.looked_at end as at) as k
-- The loss of the keeper's lock says that a connection is gone. Only a beat that was due since and did not come says
-- more: a live keeper finds out when it beats. (greatest ignores null: who has not said how often gets the grace.)
cross join lateral (select case when s.suspected is not null
    then greatest(s.suspected + s.grace, case when s.beat is not null then s.heartbeat + d.beat end) end as until) as l
where s.ended is null;
--;
comment on view recovery.evidence is 'What speaks for the death of each server that has not ended.';
--;
comment on column recovery.evidence.epoch is 'The server.';
--;
comment on column recovery.evidence.name is 'Its name.';
--;
comment on column recovery.evidence.lease is 'Its lease.';
--;
comment on column recovery.evidence.lease_expired is 'No heartbeat within the lease.';
--;
comment on column recovery.evidence.connection_lost is
    'Its keeper connection is gone, no heartbeat came within the grace after that was noticed, and one was due.';
--;
comment on column recovery.evidence.pending is
    'It was to end with this reason, and a transaction that holds its row held that up.';
--;
comment on column recovery.evidence.process_dead is 'A sweeper on its own host found the process dead.';
--;
comment on column recovery.evidence.drain_expired is 'It drained, and the limit is over.';
--;
comment on column recovery.evidence.quiet is
    'Silent: evidence that a failure of the database or of the sweepers would produce as well.';
--;
comment on column recovery.evidence.late_since is 'Its next beat should have come by then.';
--;
comment on column recovery.evidence.sure_since is
    'A sweep after that is a second look, which convicts if it still finds the same heartbeat; null: there was no '
    'first one.';
--;
comment on column recovery.evidence.at is 'The clock of this look.';
--;
-- sql/death/judgement.sql
-- Silence is judged as of the last observation, not as of now: if the machine sleeps between the two,
-- every lease looks lapsed by now, and nobody has watched.
create or replace view recovery.judgement as
select
    e.epoch,
    e.name,
    case when e.pending is not null then e.pending
         when e.process_dead then 'process_dead'
         when e.drain_expired then 'drain_expired'
         when e.connection_lost then 'connection_lost'
         when e.quiet then 'lease_expired' end as reason,
    h.certain or h.silent as dead,
    case when e.quiet and not h.certain and not h.silent then greatest(h.until, e.sure_since) end as held_until,
    case when e.quiet and not h.certain and not h.silent
         then case when coalesce(h.until < o.swept, false) then 'a second look is to find the same heartbeat'
                   when o.mass_since is not null and o.mass_since > o.since then 'most servers look dead at once'
                   else coalesce(o.because, 'no sweep yet') end end as held_because,
    case when not h.certain and not h.silent then h.sure_at end as sure_at
from recovery.evidence as e
cross join recovery.observation as o
cross join lateral (select w.until,
    case when e.sure_since is not null then greatest(w.until, e.sure_since) end as sure_at,
                           e.pending is not null or e.process_dead or e.drain_expired as certain,
                           coalesce(w.until < o.swept and e.sure_since < o.swept, false) as silent
                    from (select greatest(o.since, o.mass_since) + e.lease as until) as w) as h;
--;
comment on view recovery.judgement is
    'The one place that says which server is dead, and why. Silence counts only after a full lease of watching '
    'without a break, and at a second look; a process found dead on its own host counts at once.';
--;
comment on column recovery.judgement.epoch is 'A server that has not ended.';
--;
comment on column recovery.judgement.name is 'Its name.';
--;
comment on column recovery.judgement.reason is 'The reason with which it would end.';
--;
comment on column recovery.judgement.dead is 'It is dead.';
--;
comment on column recovery.judgement.held_until is 'It looks dead, but nobody is declared dead before then.';
--;
comment on column recovery.judgement.held_because is 'Why that is held back.';
--;
comment on column recovery.judgement.sure_at is
    'A sweep after that ends it, if there is no sign of life before; null: nothing speaks for its death yet, or it is '
    'dead.';
--;
-- sql/death/lifeless_state.sql
-- Judged as of the last look and not as of now: if the machine sleeps between the two, nobody has watched.
create or replace view recovery.lifeless_state as
select
    l.watch, l.key, l.group_key, l.since, l.retry_at,
    u.until < k.at as dead,
    case when not u.until < k.at then u.until end as held_until,
    case when not u.until < k.at then
        case when k.mass_since > greatest(k.since, l.since) then 'most rows look dead at once'
             when k.since >= l.since then k.because
             else 'it was not seen dead for long enough' end end as held_because
from recovery.lifeless as l
join recovery.look as k on k.watch = l.watch
join recovery.watch as w on w.name = l.watch
cross join lateral (select greatest(l.since, k.since, k.mass_since) + w.alive_lease as until) as u;
--;
comment on view recovery.lifeless_state is 'Which rows are dead by the evidence of the host''s own tables.';
--;
comment on column recovery.lifeless_state.watch is 'Name of the watch.';
--;
comment on column recovery.lifeless_state.key is 'Key of the row, as in recovery.event.';
--;
comment on column recovery.lifeless_state.group_key is 'Its group.';
--;
comment on column recovery.lifeless_state.since is 'Found so since then.';
--;
comment on column recovery.lifeless_state.retry_at is 'Not tried again before.';
--;
comment on column recovery.lifeless_state.dead is
    'It was found so for alive_lease without a break: the sweep closes it.';
--;
comment on column recovery.lifeless_state.held_until is 'It looks dead, but is not closed before then.';
--;
comment on column recovery.lifeless_state.held_because is 'Why that is held back.';
--;
-- sql/death/own_lifeless.sql
-- For runners, and so by current_user. A barrier: an expression of the host must not see the rows that it filters out.
create or replace view recovery.own_lifeless with (security_barrier) as
select l.watch, l.key
from recovery.lifeless_state as l
where l.dead and l.watch in (
    select w.name from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);
--;
comment on view recovery.own_lifeless is 'The rows of a runner''s watches that are dead by the evidence of its tables.';
--;
comment on column recovery.own_lifeless.watch is 'Name of the watch.';
--;
comment on column recovery.own_lifeless.key is 'Key of the row, as in recovery.event.';
--;
-- sql/closing/own_failure.sql
create or replace view recovery.own_failure with (security_barrier) as
select f.watch, f.key, f.next_at
from recovery.failure as f
where f.watch in (
    select w.name from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);
--;
comment on view recovery.own_failure is 'The rows of a runner''s watches that could not be closed.';
--;
comment on column recovery.own_failure.watch is 'Name of the watch.';
--;
comment on column recovery.own_failure.key is 'Key of the row, as in recovery.event.';
--;
comment on column recovery.own_failure.next_at is 'Not tried again before.';
--;
-- sql/fuse/fuse_state.sql
-- Judged as of the last sweep and not as of now, and never by a time in which nobody watched or the database answered
-- nobody: see recovery.judgement. Before the first sweep there is nothing but the clock. The subqueries are no joins,
-- so that FOR UPDATE means the fuse alone.
create or replace view recovery.fuse_state as
select
    f.id, f.family, f.scope, f.watch, f.key, f.host, f.pid, f.lit, f.expires, f.process_dead, f.retry_at,
    w.burns,
    w.burns and f.pid is not null and f.process_dead is null as guards,
    w.burnt,
    w.spent
from recovery.fuse as f
cross join lateral (
    select (
        select case when o.because is distinct from 'first sweep' then o.since end from recovery.observation as o
    ) as since
) as d
cross join lateral (
    select f.looked_at is not null and coalesce(greatest(f.expires, greatest(d.since, f.looked_at) + f.ttl,
               f.process_seen + greatest(f.ttl, interval '15 seconds')
           ) < (select o.swept from recovery.observation as o), false) as burnt
) as b
cross join lateral (
    select b.burnt
        or f.expires < (
            select case when o.swept is null then recovery._now() end from recovery.observation as o) is true
        or coalesce(greatest(f.process_dead, case when f.process_dead is not null then d.since end)
               < (select recovery._now()) - interval '5 seconds', false) as spent
) as s
cross join lateral (
    select b.burnt, s.spent, not s.spent and recovery._problem_of(f.pid, f.process_start, f.expires) is null as burns
) as w;
--;
comment on view recovery.fuse_state is 'What each fuse means at the moment.';
--;
comment on column recovery.fuse_state.id is 'Number of the fuse.';
--;
comment on column recovery.fuse_state.family is 'Family of the watch.';
--;
comment on column recovery.fuse_state.scope is 'row or group.';
--;
comment on column recovery.fuse_state.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.fuse_state.key is 'Key of the row, or of the group.';
--;
comment on column recovery.fuse_state.host is 'Host of the process.';
--;
comment on column recovery.fuse_state.pid is 'The process that does the work.';
--;
comment on column recovery.fuse_state.lit is 'When it was lit.';
--;
comment on column recovery.fuse_state.expires is 'Until then it burns in any case.';
--;
comment on column recovery.fuse_state.retry_at is 'Not tried again before.';
--;
comment on column recovery.fuse_state.process_dead is 'When a sweeper on its host found the process dead.';
--;
comment on column recovery.fuse_state.burns is
    'Neither spent nor impossible: its unit is not closed for another fuse''s sake.';
--;
comment on column recovery.fuse_state.guards is 'Burns, with a process that is not known dead. Its unit is kept.';
--;
comment on column recovery.fuse_state.burnt is
    'A sweep found that it was not extended for its ttl of watching without a break, nor its process seen alive '
    'meanwhile: it cannot be extended any more.';
--;
comment on column recovery.fuse_state.spent is
    'Burnt out, or its process died; a server that lives gets a moment to book how the process ended. Its unit is to '
    'be closed, unless another fuse burns there.';
--;
-- sql/fuse/own_fuse.sql
-- For runners, and so by current_user. A barrier: an expression of the host must not see the rows that it filters out.
create or replace view recovery.own_fuse with (security_barrier) as
select f.family, f.scope, f.watch, f.key
from recovery.fuse_state as f
where f.guards and f.family in (
    select w.family from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);
--;
comment on view recovery.own_fuse is 'The units of a runner''s watches that an active fuse guards.';
--;
comment on column recovery.own_fuse.family is 'Family of the watch.';
--;
comment on column recovery.own_fuse.scope is 'row or group.';
--;
comment on column recovery.own_fuse.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.own_fuse.key is 'Key of the row, or of the group.';
--;
-- sql/process/problem.sql
create or replace view recovery.problem as
select 'fuse'::text as kind, f.id::text as name, p.problem, format('select recovery.cancel_fuse(%s);', f.id) as remedy
from recovery.fuse as f cross join lateral (
    select recovery._problem_of(f.pid, f.process_start, f.expires) as problem) as p
where p.problem is not null
union all
select 'server', format('%s (epoch %s)', s.name, s.epoch), p.problem, format('recovery evict %s', s.epoch)
from recovery.server as s cross join lateral (select recovery._problem_of(s.pid, s.process_start) as problem) as p
where s.ended is null and p.problem is not null
union all
select 'process', c.id::text, p.problem, format('select recovery.untrack_process(%s);', c.id)
from recovery.process as c cross join lateral (select recovery._problem_of(c.pid, c.process_start) as problem) as p
where p.problem is not null
union all
select 'watch', b.watch, b.message, b.remedy
from recovery.broken_watch as b
union all
select 'watch', w.name, format('%s is being attached or detached: nothing is done about its rows', w.relation),
    'repeat what was interrupted: recovery.attach or recovery.detach, with concurrently=True'
from recovery.watch as w where w.attached is null
union all
select 'watch', w.name, format('its table lacks %s', string_agg(d.name, ', ' order by d.name)),
    'call recovery.attach again'
from recovery._attached_watches() as w cross join lateral recovery._watch_definitions(w) as d
where not exists (select from recovery.broken_watch as b where b.watch = w.name)
group by w.name
union all
select 'watch', w.name, format('its table has no column %s any more', string_agg(c.name, ', ' order by c.name)),
       format('select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now', w.relation)
from recovery._attached_watches() as w cross join lateral (
    select 'server_epoch' as name
    union select * from unnest(w.key_columns)
    union select * from jsonb_object_keys(w.close)
    union select * from jsonb_object_keys(coalesce(w.requeue, '{}'))
    union select w.attempts where w.attempts is not null) as c
where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = w.relation and a.attname = c.name and a.attnum > 0 and not a.attisdropped)
  and not exists (select from recovery.broken_watch as b where b.watch = w.name)
group by w.name, w.relation
union all
select 'trigger', w.name, format('%s of %s %s', t.tgname, t.tgrelid::regclass, case t.tgenabled
           when 'D' then 'is disabled: writes are neither fenced nor told'
           when 'R' then 'is enabled for replicas only: writes are neither fenced nor told'
           else 'is enabled for replicas, too: a subscription of this table stops at the fence' end),
       format('alter table %s enable trigger %s;', t.tgrelid::regclass, t.tgname)
from recovery._attached_watches() as w
cross join lateral (select w.relation::oid as oid union select p.relid
    from pg_catalog.pg_partition_tree(w.relation) as p) as l
join pg_catalog.pg_trigger as t on t.tgrelid = l.oid
where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgenabled <> 'O'
union all
select 'trigger', w.name, format('%s of %s is not the one that recovery.attach made', t.tgname, w.relation),
       format('drop trigger %s on %s; then call recovery.attach again', t.tgname, w.relation)
from recovery._attached_watches() as w
join pg_catalog.pg_trigger as t on t.tgrelid = w.relation join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
  and (p.pronamespace <> 'recovery'::regnamespace or p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', w.id))
union all
select 'partition', w.name,
       format('%s was detached from it and keeps server_epoch and its index: nobody closes what is open in it', l.name),
       format('alter table %s drop column server_epoch;', l.name)
from recovery._attached_watches() as w cross join lateral recovery._left_partitions(w.relation) as l (name)
union all
select 'partition', w.name, format('%s is not yet detached from it: what is open in it waits', p.relation),
       format('alter table %s detach partition %s finalize;', p.parent, p.relation)
from recovery._attached_watches() as w
cross join lateral recovery._partitions_of(w.relation) as p
join pg_catalog.pg_inherits as i on i.inhrelid = p.relation and i.inhdetachpending
union all
select 'index', w.name, i.problem, i.remedy
from recovery._attached_watches() as w
cross join (values ('open'), ('started')) as k (kind)
cross join lateral recovery._index_problem(w, k.kind) as i
where i.problem is not null and (k.kind = 'open' or w.supervised is not null)
union all
select 'setting', 'session_replication_role', format('%s: writes are neither fenced nor told', s.said), s.remedy
from (
    select format('replica for %s',
        concat_ws(' in ', case when d.setrole = 0 then 'every role' else format('role %I', r.rolname) end,
               case when d.setdatabase <> 0 then format('database %I', pg_catalog.current_database()) end)) as said,
           format('alter %s reset session_replication_role;', case
               when d.setrole = 0 then format('database %I', pg_catalog.current_database())
               when d.setdatabase = 0 then format('role %I', r.rolname)
               else format('role %I in database %I', r.rolname, pg_catalog.current_database()) end) as remedy
    from pg_catalog.pg_db_role_setting as d left join pg_catalog.pg_roles as r on r.oid = d.setrole
    where 'session_replication_role=replica' = any(d.setconfig)
      and d.setdatabase in (0,
          (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database()))
    union all
    select case when p.source in ('configuration file', 'command line') then 'replica for the whole server'
                else format('replica in this session (from %s)', p.source) end,
           case when p.source in ('configuration file', 'command line')
               then 'alter system reset session_replication_role; select pg_reload_conf();'
                else 'look for it in PGOPTIONS and in what connects' end
    from pg_catalog.pg_settings as p
    where p.name = 'session_replication_role' and p.setting = 'replica'
        and p.source not in ('database', 'user', 'database user', 'global')
) as s;
--;
comment on view recovery.problem is
    'What every sweep passes over, shown by status: impossible processes and fuses (they are refused where they '
    'enter; a fuse among them guards nothing), and watches whose table, runner or expressions fail; and what takes '
    'the fence from a table: its triggers, indexes and columns, and sessions in which triggers do not fire.';
--;
comment on column recovery.problem.kind is 'fuse, server, process, watch, trigger, partition, index or setting.';
--;
comment on column recovery.problem.name is 'Its number, or name and epoch; of a trigger, partition or index the watch.';
--;
comment on column recovery.problem.problem is 'What is wrong with it.';
--;
comment on column recovery.problem.remedy is 'What to do about it, or to type.';
--;
-- sql/event/consumer_status.sql
create or replace view recovery.consumer_status as
select c.name,
       coalesce(lower(c.gaps) - 1, c.newest) as position,
       c.newest,
       (select count(*) from unnest(c.gaps)) as gaps,
       -- By partition, for between two of them ids leave out many.
       coalesce((
           select sum((s.last - s.first) / 100 + 1)
           from (
               select min(o.id) as first, max(o.id) as last from recovery.outbox_slot_0 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_1 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_2 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_3 as o where o.id > c.newest
           ) as s), 0)::bigint as behind,
       coalesce(clock_timestamp() - (
           select o.at from recovery.outbox as o where o.id > c.newest order by o.id limit 1), interval '0') as lag,
       c.seen,
       c.expires,
       case when c.seen < clock_timestamp() - c.expires then 'expired'
            when c.newest < (select f.id from recovery.event_floor as f) then 'behind what is kept'
            when c.page_last > c.newest then 'reading'
            else 'active' end as state,
       jsonb_strip_nulls(jsonb_build_object(
           'watch', (c.wanted).watch, 'group', (c.wanted).group_key, 'reason', (c.wanted).reason,
           'kind', (c.wanted).kind, 'topic', (c.wanted).topic, 'epoch', (c.wanted).epoch)) as filters
from recovery.consumer as c;
--;
comment on view recovery.consumer_status is 'How far each named consumer has come.';
--;
comment on column recovery.consumer_status.name is 'Given by recovery.create_consumer().';
--;
comment on column recovery.consumer_status.position is
    'Everything up to here is settled and done. It waits for the oldest transaction that may still write.';
--;
comment on column recovery.consumer_status.newest is 'Everything that was visible up to here is done.';
--;
comment on column recovery.consumer_status.gaps is 'Ranges of ids between the two that may still appear.';
--;
comment on column recovery.consumer_status.behind is
    'About how many records have been written since: an event each, or a hundred of a closing.';
--;
comment on column recovery.consumer_status.lag is 'Age of the oldest event that is not done.';
--;
comment on column recovery.consumer_status.seen is 'Its last fetch or acknowledgement, to the minute.';
--;
comment on column recovery.consumer_status.expires is 'Without one for so long it counts as abandoned.';
--;
comment on column recovery.consumer_status.state is
    'active; reading (a fetch is not acknowledged yet); expired (abandoned: events are not kept for it); '
    'behind what is kept (events were dropped before it had them: its next fetch says so).';
--;
comment on column recovery.consumer_status.filters is 'Which events it wants.';
--;
-- sql/event/event.sql
create or replace view recovery.event as
select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason, o.detector, o.old, o.new
from recovery.outbox as o
where o.keys is null
union all
select o.id + k.n - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, k.key, k.group_key, o.reason, o.detector,
       o.old, o.new
from recovery.outbox as o
cross join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
where o.keys is not null;
--;
comment on view recovery.event is
    'One durable row for each transition of a watched row, in the transaction that made it. Ids of one row grow in '
    'the order of its changes. To follow it: recovery.fetch() or recovery.read(), which lose nothing.';
--;
comment on column recovery.event.id is 'Grows in order of writing, not of commit, and leaves numbers out.';
--;
comment on column recovery.event.at is 'Database clock at the change.';
--;
comment on column recovery.event.server_epoch is 'Owner of the row; for a closing the epoch whose work was closed.';
--;
comment on column recovery.event.watch is 'Name of the watch.';
--;
comment on column recovery.event.kind is
    'opened, reopened, closed, requeued, deleted, adopted (a row); failed, idle (a group); broken, repaired, gap (a '
    'watch, key empty); cancel (a row or group: asks its owner to stop it).';
--;
comment on column recovery.event.topic is 'Name of the bus event, as the watch says.';
--;
comment on column recovery.event.key is 'Primary key of the row as text; a JSON array where it has several columns.';
--;
comment on column recovery.event.group_key is 'Group (session) of the row as text.';
--;
comment on column recovery.event.reason is
    'Why: superseded, shutdown, lease_expired, unowned, ...; for a writer the setting recovery.reason, else null.';
--;
comment on column recovery.event.detector is 'Who: writer, boot:<epoch>, sweep:<label>, shutdown:<epoch>.';
--;
comment on column recovery.event.old is 'Values before, of what changed.';
--;
comment on column recovery.event.new is 'Values after.';
--;
-- sql/event/record.sql
create or replace view recovery.record as
select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason, o.detector, o.old, o.new,
       o.keys is not null as several, o.slot
from recovery.outbox as o;
--;
comment on view recovery.record is
    'The events as they are stored: one a row, or up to 100 closings that differ only in key and group. For listeners '
    'that look for the next event itself; recovery.event shows each of them.';
--;
comment on column recovery.record.id is 'Of its first event.';
--;
comment on column recovery.record.at is 'As in recovery.event.';
--;
comment on column recovery.record.server_epoch is 'As in recovery.event.';
--;
comment on column recovery.record.watch is 'As in recovery.event.';
--;
comment on column recovery.record.kind is 'As in recovery.event.';
--;
comment on column recovery.record.topic is 'As in recovery.event.';
--;
comment on column recovery.record.key is 'As in recovery.event; null if it holds several.';
--;
comment on column recovery.record.group_key is 'As in recovery.event; null if it holds several.';
--;
comment on column recovery.record.reason is 'As in recovery.event.';
--;
comment on column recovery.record.detector is 'As in recovery.event.';
--;
comment on column recovery.record.old is 'As in recovery.event.';
--;
comment on column recovery.record.new is 'As in recovery.event.';
--;
comment on column recovery.record.several is 'It holds several events: recovery.event has to be asked.';
--;
comment on column recovery.record.slot is
    'In which partition it is, of four: its id, divided by two billion, modulo 4. Who knows where the next one will be '
    'need not look into all.';
--;
-- sql/watchdog/own_touch.sql
create or replace view recovery.own_touch with (security_barrier) as
select t.family, t.scope, t.watch, t.key, t.at, t.child_at
from recovery.touch as t
where t.family in (
    select w.family from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);
--;
comment on view recovery.own_touch is 'Signs of life of a runner''s watches.';
--;
comment on column recovery.own_touch.family is 'Family of the watch.';
--;
comment on column recovery.own_touch.scope is 'row or group.';
--;
comment on column recovery.own_touch.watch is 'Watch of the row, or through which the group was named.';
--;
comment on column recovery.own_touch.key is 'Key of the row, or of the group.';
--;
comment on column recovery.own_touch.at is 'Last touch.';
--;
comment on column recovery.own_touch.child_at is 'When the child group of the row last had open work.';
--;
-- sql/watchdog/setting_status.sql
create or replace view recovery.setting_status as
select s.name, s.watch, s.kind, s.group_key, s.value, 'set' as source, s.changed_at, s.changed_by
from recovery.setting as s
union all
select d.name, '', '', '', d.value, 'default', null, null
from (values
    ('tool_timeout', 'off'),
    ('task_timeout', 'off'),
    ('idle_timeout', 'off'),
    ('wall_timeout', 'off'),
    ('propagation_grace', '00:00:30'),
    ('cancel_grace', '00:00:10'),
    ('idle_roots', 'false'),
    ('unowned_expected', 'false'),
    ('event_retention', '7 days'),
    ('history_retention', '30 days'),
    ('drop_unread', 'false')
) as d (name, value)
where not exists (select from recovery.setting as s where (s.name, s.watch, s.kind, s.group_key) = (d.name, '', '', ''))
order by name, watch, kind, group_key;
--;
comment on view recovery.setting_status is
    'Every setting: what was set, and the built-in default where nothing is set for everything.';
--;
comment on column recovery.setting_status.name is 'Which setting.';
--;
comment on column recovery.setting_status.watch is 'Only for this watch; empty: for all.';
--;
comment on column recovery.setting_status.kind is 'Only for this kind of work; empty: for all.';
--;
comment on column recovery.setting_status.group_key is 'Only for this group (session); empty: for all.';
--;
comment on column recovery.setting_status.value is 'Its value; off: no limit.';
--;
comment on column recovery.setting_status.source is 'set: by recovery.configure; default: built in.';
--;
comment on column recovery.setting_status.changed_at is 'When it was set; null for a default.';
--;
comment on column recovery.setting_status.changed_by is 'Role that set it; null for a default.';
--;
-- sql/webhook/dead_letter.sql
create or replace view recovery.dead_letter as
select
    d.webhook,
    d.event,
    (d.body ->> 'at')::timestamptz as at,
    d.watch,
    d.kind,
    d.key,
    d.body ->> 'group' as group_key,
    d.attempts,
    d.status,
    d.error,
    d.done as died
from recovery.webhook_delivery as d
where d.state = 'dead';
--;
comment on view recovery.dead_letter is
    'Events that the receiver of a webhook did not take, however often they were sent; recovery.redeliver sends them '
    'again.';
--;
comment on column recovery.dead_letter.webhook is 'Name of the webhook.';
--;
comment on column recovery.dead_letter.event is 'Id of the event.';
--;
comment on column recovery.dead_letter.at is 'Time of the event.';
--;
comment on column recovery.dead_letter.watch is 'Watch of the event.';
--;
comment on column recovery.dead_letter.kind is 'Kind of the event.';
--;
comment on column recovery.dead_letter.key is 'Key of the row or group.';
--;
comment on column recovery.dead_letter.group_key is 'Group of the row.';
--;
comment on column recovery.dead_letter.attempts is 'How often it was sent.';
--;
comment on column recovery.dead_letter.status is 'HTTP status of the last answer; null: there was none.';
--;
comment on column recovery.dead_letter.error is 'What went wrong at last.';
--;
comment on column recovery.dead_letter.died is 'When it was given up.';
--;
-- sql/webhook/webhook_status.sql
create or replace view recovery.webhook_status as
select
    w.name,
    w.url,
    case when w.paused is not null then 'paused'
         when w.failures >= 5 then 'down'
         when w.failures > 0 then 'failing'
         else 'active' end as state,
    c.filters,
    c.behind,
    c.lag,
    n.unfinished,
    n.dead,
    w.delivered,
    w.tried,
    w.error,
    w.failures,
    w.paused,
    w.paused_because,
    w.allow,
    w.order_by,
    w.timeout,
    w.max_body,
    w.max_attempts,
    w.backoff,
    w.max_backoff,
    w.concurrency,
    w.keep,
    cardinality(w.secrets) as secrets,
    w.created
from recovery.webhook as w
left join recovery.consumer_status as c on c.name = 'webhook:' || w.name
cross join lateral (
    select
        (select count(*) from recovery.webhook_delivery as d
         where d.webhook = w.name and d.state in ('waiting', 'pending')) as unfinished,
        (select count(*) from recovery.webhook_delivery as d
         where d.webhook = w.name and d.state = 'dead' and d.state in ('delivered', 'dead')) as dead) as n;
--;
comment on view recovery.webhook_status is
    'Every webhook: where it is sent to, how far it is, and what its receiver says.';
--;
comment on column recovery.webhook_status.name is 'Name of the webhook.';
--;
comment on column recovery.webhook_status.url is 'Where events are sent.';
--;
comment on column recovery.webhook_status.state is
    'active; failing (the last attempts found no receiver); down (five or more: one delivery is tried at a time); '
    'paused.';
--;
comment on column recovery.webhook_status.filters is 'Which events it gets.';
--;
comment on column recovery.webhook_status.behind is 'Events that nobody has collected for it yet, about.';
--;
comment on column recovery.webhook_status.lag is 'Age of the oldest of them.';
--;
comment on column recovery.webhook_status.unfinished is 'Events that are collected, and neither delivered nor dead.';
--;
comment on column recovery.webhook_status.dead is 'Dead letters.';
--;
comment on column recovery.webhook_status.delivered is 'When the receiver last took an event.';
--;
comment on column recovery.webhook_status.tried is 'When the last attempt ended.';
--;
comment on column recovery.webhook_status.error is
    'What the last failure was; null once the receiver has taken an event.';
--;
comment on column recovery.webhook_status.failures is 'Attempts in a row that found the receiver down.';
--;
comment on column recovery.webhook_status.paused is 'Since when it is paused.';
--;
comment on column recovery.webhook_status.paused_because is 'Why.';
--;
comment on column recovery.webhook_status.allow is 'Private networks that may be reached.';
--;
comment on column recovery.webhook_status.order_by is 'row or group.';
--;
comment on column recovery.webhook_status.timeout is 'For one attempt.';
--;
comment on column recovery.webhook_status.max_body is 'Bytes of a body at most.';
--;
comment on column recovery.webhook_status.max_attempts is 'After so many an event is a dead letter.';
--;
comment on column recovery.webhook_status.backoff is 'Pause after the first failure.';
--;
comment on column recovery.webhook_status.max_backoff is 'And at most.';
--;
comment on column recovery.webhook_status.concurrency is 'Deliveries at the same time, at most.';
--;
comment on column recovery.webhook_status.keep is 'How long dead letters are kept.';
--;
comment on column recovery.webhook_status.secrets is 'How many secrets it has: more than one while it is rotated.';
--;
comment on column recovery.webhook_status.created is 'When it was added.';
--;
-- sql/status/open_transaction.sql
create or replace view recovery.open_transaction as
select
    a.pid,
    null::text as gid,
    case when a.backend_type = 'client backend' then
        format('pid %s (%s, %s), %s', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no application_name'),
            a.state)
    else format('pid %s (%s)', a.pid, a.backend_type) end as who,
    a.datname as database,
    a.xact_start as begun,
    nullif(left(regexp_replace(btrim(a.query), '\s+', ' ', 'g'), 80), '') as query,
    age(a.backend_xid) as older,
    format('select pg_terminate_backend(%s);', a.pid) as remedy
from pg_stat_activity as a
-- A parallel worker writes as its leader; vacuum is not waited for.
where a.backend_xid is not null and a.backend_type not in ('parallel worker', 'autovacuum worker')
  and a.pid <> pg_backend_pid()
union all
select null, p.gid, format('prepared transaction %L (%s)', p.gid, p.owner), p.database, p.prepared, null,
    age(p.transaction), format('rollback prepared %1$L; -- or commit prepared %1$L', p.gid)
from pg_prepared_xacts as p;
--;
comment on view recovery.open_transaction is
    'Transactions of the whole cluster that write: what they have written may still appear, so nothing above counts as '
    'settled, and positions of consumers wait for them. Readers, replication slots and vacuum are not waited for. Who '
    'is no member of pg_read_all_stats sees only its own and prepared ones.';
--;
comment on column recovery.open_transaction.pid is 'The session''s process id; null for a prepared transaction.';
--;
comment on column recovery.open_transaction.gid is 'The name of a prepared transaction.';
--;
comment on column recovery.open_transaction.who is 'Session or prepared transaction, in words.';
--;
comment on column recovery.open_transaction.database is 'Its database; any counts.';
--;
comment on column recovery.open_transaction.begun is 'When it began, or was prepared.';
--;
comment on column recovery.open_transaction.query is 'The beginning of its last statement.';
--;
comment on column recovery.open_transaction.older is 'How many transactions are younger: the oldest has the most.';
--;
comment on column recovery.open_transaction.remedy is 'What ends it.';
--;
-- sql/status/server_status.sql
create or replace view recovery.server_status as
select
    s.epoch,
    s.name,
    s.host,
    s.pid,
    s.version,
    s.lease,
    s.booted,
    s.heartbeat,
    s.ended,
    s.reason,
    case when s.ended is not null then 'ended'
         when v.held_because is not null then 'held back'
         when v.dead then 'dead'
         when s.drain_until is not null then 'draining'
         when s.suspected is not null then 'suspected'
         else 'live' end as state,
    v.held_until,
    v.held_because,
    coalesce(w.open_rows, 0)::bigint as open_rows
from recovery.server as s
left join recovery.judgement as v on v.epoch = s.epoch
left join (select o.server_epoch, sum(o.open_rows) as open_rows from recovery.open_work() as o
    group by o.server_epoch) as w
    on w.server_epoch = s.epoch;
--;
comment on view recovery.server_status is 'Every boot with its state (live, lapsed, ended) and the open rows it owns.';
--;
comment on column recovery.server_status.epoch is 'Epoch of the boot.';
--;
comment on column recovery.server_status.name is 'Name of the server.';
--;
comment on column recovery.server_status.host is 'Host it runs on.';
--;
comment on column recovery.server_status.pid is 'Process id there.';
--;
comment on column recovery.server_status.version is 'Version of the application.';
--;
comment on column recovery.server_status.lease is 'Lease.';
--;
comment on column recovery.server_status.booted is 'When it booted.';
--;
comment on column recovery.server_status.heartbeat is 'Last heartbeat.';
--;
comment on column recovery.server_status.ended is 'When it ended.';
--;
comment on column recovery.server_status.reason is 'Why it ended.';
--;
comment on column recovery.server_status.state is
    'live, draining, suspected (keeper connection lost), held back (looks dead, but see held_because), dead (the next '
    'sweep ends it) or ended.';
--;
comment on column recovery.server_status.held_until is 'Not declared dead before then.';
--;
comment on column recovery.server_status.held_because is 'Why not.';
--;
comment on column recovery.server_status.open_rows is 'Open rows it owns.';
--;
-- sql/status/watch_status.sql
create or replace view recovery.watch_status as
with
w as materialized (select a.*, recovery._is_replicated(a.family) as replicated from recovery._attached_watches() as a),
o as materialized (
    select c.watch, c.server_epoch, c.open_rows, w.replicated and not recovery._issued_here(c.server_epoch) as elsewhere
    from recovery.open_work() as c join w on w.name = c.watch)
select
    w.name as watch,
    w.relation,
    coalesce(sum(o.open_rows), 0)::bigint as open_rows,
    coalesce(sum(o.open_rows) filter (where (s.ended is not null or s.pending is not null) and not o.elsewhere),
        0)::bigint as orphans,
    coalesce(sum(o.open_rows) filter (where o.open_rows is not null and o.server_epoch is null and not o.elsewhere),
        0)::bigint as unowned,
    (select count(*) from recovery.failure as f where f.watch = w.name) as failures,
    recovery._rows_on_hold(w.name) as waiting,
    recovery._is_stale(w.relation) as stale,
    case when w.replicated then coalesce(sum(o.open_rows) filter (where o.elsewhere), 0)::bigint end as elsewhere
from w
left join o on o.watch = w.name
left join recovery.server as s on s.epoch = o.server_epoch
group by w.family, w.position, w.name, w.relation, w.replicated
order by w.family, w.position, w.name;
--;
comment on view recovery.watch_status is 'Each watched table with its open rows, orphans, unowned rows and failures.';
--;
comment on column recovery.watch_status.watch is 'Name of the watch.';
--;
comment on column recovery.watch_status.relation is 'Watched table.';
--;
comment on column recovery.watch_status.open_rows is 'Rows of work in flight.';
--;
comment on column recovery.watch_status.orphans is 'Of these, owned by an ended epoch.';
--;
comment on column recovery.watch_status.unowned is
    'Of these, owned by nobody: written without an epoch, so that nobody notices when their process dies.';
--;
comment on column recovery.watch_status.waiting is
    'Open rows that are on hold: they wait for a human, or for a point in time.';
--;
comment on column recovery.watch_status.failures is 'Rows that could not be closed.';
--;
comment on column recovery.watch_status.stale is
    'The host has added a BEFORE UPDATE trigger since: call recovery.attach again, it makes our triggers notice what '
    'that one changes.';
--;
comment on column recovery.watch_status.elsewhere is
    'Open rows that came by logical replication and are left alone: they belong to nobody here until a server writes '
    'its epoch into them, or the subscription is dropped. Null: no subscription writes the table.';
--;
-- sql/setup/stay_local.trigger.sql
-- What is written often is never there to be updated: it was not let in.
do $$
declare
    v_table record;
begin
    for v_table in
        select c.oid::regclass as name, c.relname in ('server', 'touch') or c.relispartition as often
        from pg_catalog.pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind = 'r' order by c.relname
    loop
        execute format('create trigger recovery_00_stay_local before insert%s on %s '
            'for each row execute function recovery._stay_local()',
            case when v_table.often then '' else ' or update or delete' end, v_table.name);
        execute format('alter table %s enable replica trigger recovery_00_stay_local', v_table.name);
        execute format('comment on trigger recovery_00_stay_local on %s is %L', v_table.name,
            'Drops what a subscription brings: our tables are of this database only.');
    end loop;
end
$$;
--;
-- sql/watch/watch.trigger.sql
-- The door for owners of tables: recovery.attach, supervise and detach run with the rights of their caller and
-- write this table; what follows from that is done by its triggers.
alter table recovery.watch enable row level security;
--;
create policy watch_of_owner on recovery.watch
    using (recovery._owns_table(relation)) with check (recovery._owns_table(relation));
--;
create policy watch_is_read on recovery.watch for select to recovery_server, recovery_listener
    using (true);
--;
create trigger recovery_10_compile before insert or update of relation, spec, path, supervised on recovery.watch
    for each row execute function recovery._compile_watch();
--;
create trigger recovery_20_generate after insert or update of relation, spec, path, supervised on recovery.watch
    for each row execute function recovery._generate_watch();
--;
create trigger recovery_25_follow after update of spec on recovery.watch
    for each row execute function recovery._carry_over();
--;
create trigger recovery_30_forget after delete on recovery.watch
    for each row execute function recovery._forget_watch();
--;
comment on policy watch_of_owner on recovery.watch is
    'Who has the rights of a table''s owner may watch it, and see that.';
--;
comment on policy watch_is_read on recovery.watch is 'Servers and listeners see every watch.';
--;
comment on trigger recovery_10_compile on recovery.watch is 'Checks and compiles what an owner has written.';
--;
comment on trigger recovery_20_generate on recovery.watch is 'Makes the routines of the watch.';
--;
comment on trigger recovery_25_follow on recovery.watch is 'Takes along what is told by its name or family.';
--;
comment on trigger recovery_30_forget on recovery.watch is 'Removes them.';
--;
-- sql/follow/follow.trigger.sql
-- Event triggers take a superuser. Without them the next boot or sweep does what they do, and PostgreSQL refuses to
-- drop a column that the open condition reads as long as the table is attached.
do $$
begin
    create event trigger recovery_10_release on ddl_command_start
        when tag in ('ALTER TABLE') execute function recovery._release_columns();
    create event trigger recovery_20_follow on ddl_command_end
        when tag in ('ALTER TABLE', 'ALTER TYPE', 'ALTER SCHEMA', 'ALTER FUNCTION', 'CREATE POLICY', 'ALTER POLICY',
                     'DROP POLICY', 'CREATE TRIGGER')
        execute function recovery._follow_ddl();
    create event trigger recovery_25_return on ddl_command_end
        when tag in ('ALTER TABLE') execute function recovery._return_triggers();
    create event trigger recovery_30_forget on sql_drop
        when tag in ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE')
        execute function recovery._forget_ddl();
    comment on event trigger recovery_10_release is 'pg-recovery: the host may drop columns that our triggers read.';
    comment on event trigger recovery_20_follow is 'pg-recovery: what the host has changed is followed at once.';
    comment on event trigger recovery_25_return is 'pg-recovery: our triggers come back.';
    comment on event trigger recovery_30_forget is 'pg-recovery: nothing is left of a watch on a dropped table.';
exception when insufficient_privilege then
    raise notice 'recovery: no event triggers, for % is no superuser: changes of watched tables are followed by the '
        'next boot or sweep', current_user;
end
$$;
--;
-- sql/setup/grants.sql
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
--;
grant usage on schema recovery to recovery_server, recovery_listener, recovery_runner;
--;
-- The one thing that is everybody's: it says what to ask a DBA for.
grant usage on schema recovery to public;
--;
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
--;
-- Runners: the fence of their trigger functions, what they need to know of their own watches, no more.
grant select (epoch, name, ended, pending, drain_until) on recovery.server to recovery_runner;
--;
grant select on recovery.own_fuse, recovery.own_failure, recovery.own_touch, recovery.own_lifeless to recovery_runner;
--;
grant select on sequence recovery.bell_time, recovery.outbox_id_seq to recovery_runner;
--;
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
--;
grant select on recovery.event, recovery.record, recovery.watch, recovery.failure, recovery.sweep_run,
    recovery.judgement, recovery.evidence, recovery.fuse, recovery.fuse_state, recovery.touch, recovery.cancellation,
    recovery.observation, recovery.look, recovery.lifeless, recovery.lifeless_state,
    recovery.server_status, recovery.watch_status, recovery.setting_status, recovery.problem, recovery.consumer_status,
    recovery.open_transaction, recovery.event_floor
    to recovery_server, recovery_listener;
--;
-- The token is a secret between a server and the database.
grant select (epoch, name, host, pid, process_start, version, lease, grace, booted, heartbeat, keeper,
              suspected, looked_at, looked_beat, process_dead, process_seen, drain_until, pending, ended, reason)
    on recovery.server to recovery_server, recovery_listener;
--;
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
--;
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
--;
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
--;
grant execute on procedure
    recovery.boot(
        text, text, integer, timestamptz, text, interval, interval, text, interval, integer, interval, interval,
        boolean, bigint, uuid, jsonb),
    recovery.sweep(text, integer, interval, interval, jsonb),
    recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb),
    recovery._close_epoch(text, bigint, text, integer, interval, bigint, jsonb, boolean, bigint, uuid, timestamptz)
to recovery_server;
--;
grant select on recovery.process to recovery_server, recovery_listener;
--;
-- recovery.consumer_status tells by it how far behind a consumer is; up to PostgreSQL 16 it fails without.
grant select on sequence recovery.outbox_id_seq to recovery_server, recovery_listener;
--;
-- Webhooks: their secrets are for who sends, through functions; neither table can be read.
grant execute on function recovery._examine_webhooks(interval) to recovery_server, recovery_listener;
--;
grant select on recovery.webhook_status, recovery.dead_letter to recovery_server, recovery_listener;
--;
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
--;
reset check_function_bodies;
--;
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), true);
--;
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_quotes');
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), true);
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_path');
