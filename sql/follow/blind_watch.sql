create table recovery.blind_watch (
    watch text        not null,
    why   text        not null,
    since timestamptz not null default clock_timestamp(),
    constraint blind_watch_pkey primary key (watch, why)
);

comment on table recovery.blind_watch is
    'Watches whose tables are written in a way that leaves no events: an event of kind gap has said so, and says when '
    'it is over.';
comment on column recovery.blind_watch.watch is 'Name of the watch.';
comment on column recovery.blind_watch.why is
    'triggers_disabled: one of our triggers is disabled or missing; replicated: a subscription writes the table, which '
    'fires no trigger.';
comment on column recovery.blind_watch.since is 'When it was noticed.';
