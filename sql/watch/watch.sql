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

comment on table recovery.watch is
    'One row for each watched table: SQL expressions over its row r (and the closing c) that say what is open and how '
    'to close it. Written by recovery.attach, removed by recovery.detach; row security lets an owner write those of '
    'its own tables only, and all but relation, spec, path and supervised is made from these by triggers.';
comment on column recovery.watch.id is 'Number of the watch; names its generated trigger functions.';
comment on column recovery.watch.name is
    'Name of the watch in events and reports, schema.table unless another was given.';
comment on column recovery.watch.relation is 'The watched table.';
comment on column recovery.watch.family is
    'Watches of one family share their groups and close together, a group in one transaction.';
comment on column recovery.watch.position is
    'Order within the family: rows of lower positions are closed and announced first.';
comment on column recovery.watch.open is
    'Boolean expression: the row is work in flight. Stands literally in the partial index, the triggers and every '
    'statement.';
comment on column recovery.watch.open_columns is 'Numbers of the columns that open and group_by read.';
comment on column recovery.watch.plain is
    'open, group_by and started use built-in types only: reading them runs no code, whoever does it.';
comment on column recovery.watch.close is 'Column -> expression over r and c that a closing sets.';
comment on column recovery.watch.key_columns is 'Primary key columns.';
comment on column recovery.watch.key_types is 'Their types.';
comment on column recovery.watch.group_by is
    'Expression for the group (session) that the row belongs to; null: every row stands alone.';
comment on column recovery.watch.group_type is 'Type of group_by.';
comment on column recovery.watch.parent is
    'On the watch whose rows are the groups: expression for the parent group; trees close deepest first.';
comment on column recovery.watch.order_by is 'Order of the rows of one group in events.';
comment on column recovery.watch.only_if is
    'Further condition for an open row of an ended epoch to be an orphan; others are let go (server_epoch becomes '
    'null).';
comment on column recovery.watch.image is 'Jsonb expression: what an event records of the row before and after.';
comment on column recovery.watch.diff is 'The image holds whole json columns: events record only what differs.';
comment on column recovery.watch.topic is 'Name of the bus event for a row of this table.';
comment on column recovery.watch.failed_topics is
    'On the watch whose rows are the groups: events for a group in which work was closed.';
comment on column recovery.watch.idle_topics is 'The same, when nothing of the group is open any more.';
comment on column recovery.watch.started is 'Timestamptz expression: when the work began.';
comment on column recovery.watch.unowned is
    'Open rows without an epoch that started longer ago than this are closed at boot; null: left alone.';
comment on column recovery.watch.launch_grace is
    'Open work that started more recently than this is kept although no fuse guards it yet; null: the work of this '
    'table has no fuses.';
comment on column recovery.watch.events is 'all: every transition is an event; closed: only what recovery itself does.';
comment on column recovery.watch.requeue is
    'Column -> expression over r and c that a closing sets instead, while attempts are left: back to the queue.';
comment on column recovery.watch.attempts is 'Integer column that counts the attempts.';
comment on column recovery.watch.max_attempts is 'So many in all; the last one fails.';
comment on column recovery.watch.free_reasons is 'Reasons of a closing that cost no attempt.';
comment on column recovery.watch.not_before is
    'Timestamptz column that a requeue sets: the host''s queue must not take the row before.';
comment on column recovery.watch.owner is
    'Text expression: the name of the server that does the work, where another session writes the row; null: the '
    'session is the owner.';
comment on column recovery.watch.owner_columns is 'Numbers of the columns that it reads.';
comment on column recovery.watch.alive is
    'Boolean expression, evidence from the host''s own tables: false, the row is an orphan whoever owns it; true, it '
    'is guarded; null says nothing.';
comment on column recovery.watch.alive_lease is 'How long it must be seen false, without a break, to count.';
comment on column recovery.watch.activity is
    'Timestamptz expression: when the row last moved. Evaluated on candidates only, never indexed.';
comment on column recovery.watch.timeout is 'Interval expression: the row''s own timeout, before any setting.';
comment on column recovery.watch.kind is
    'Text expression: kind of the work, by which settings differ (bash, task); null: only wall_timeout and '
    'idle_timeout count.';
comment on column recovery.watch.hold is
    'Boolean expression: the row waits for a human or for a point in time; its clock stands still.';
comment on column recovery.watch.child is
    'Expression for the group that the row waits for (a subagent''s session), or null.';
comment on column recovery.watch.cancel is 'What a timeout closes: the row, or its group with all descendants.';
comment on column recovery.watch.supervised is
    'What was given to recovery.supervise; null: the watchdog looks at this watch only for wall_timeout and '
    'idle_timeout.';
comment on column recovery.watch.spec is 'The registration as it was given, to tell a repeated one from another.';
comment on column recovery.watch.path is
    'search_path under which the host''s triggers run in a closing: that of its writers.';
comment on column recovery.watch.runner is
    'The runner of the table''s owner: it executes the expressions and the triggers.';
comment on column recovery.watch.outbox is
    'Number of the view recovery.outbox_<n> through which the runner appends events of this family.';
comment on column recovery.watch.own_column is
    'The column server_epoch was made by recovery.attach and goes with recovery.detach.';
comment on column recovery.watch.canonical is
    'spec, and supervised under that name, with each expression as PostgreSQL prints it: equal means the same.';
comment on column recovery.watch.uses is
    'What it uses and how that is called: [kind, object, part, name], see recovery._present_name. The routines of the '
    'watch have these names in them; when one has changed, recovery._follow_watch makes them anew.';
comment on column recovery.watch.checked is
    'Rights, constraints and triggers of the table, as recovery._table_state prints them, when the watch was rehearsed '
    'last.';
comment on column recovery.watch.attached is
    'When the table was attached; null: it is being attached or detached, and nothing is done about its rows.';
comment on column recovery.watch.told is 'When an event last said that it is broken.';
