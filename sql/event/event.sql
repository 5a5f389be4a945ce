create table recovery.event (
    id           bigint      generated always as identity,
    at           timestamptz not null default clock_timestamp(),
    server_epoch bigint,
    watch        text        not null,
    kind         text        not null,
    topic        text,
    key          text        not null,
    group_key    text,
    reason       text,
    detector     text        not null,
    old          jsonb,
    new          jsonb,
    constraint event_pkey primary key (id)
);

comment on table recovery.event is
    'One durable row for each transition of a watched row, in the transaction that made it. Append-only; ids of one '
    'row grow in the order of its changes.';
comment on column recovery.event.id is 'Grows in order of writing, not of commit: read with recovery.horizon().';
comment on column recovery.event.at is 'Database clock at the change.';
comment on column recovery.event.server_epoch is 'Owner of the row; for a closing the epoch whose work was closed.';
comment on column recovery.event.watch is 'Name of the watch.';
comment on column recovery.event.kind is
    'opened, reopened, closed, requeued, deleted, adopted (a row); failed, idle (a group); broken, repaired (a watch, '
    'key empty); cancel (a row or group: '
    'asks its owner to stop it).';
comment on column recovery.event.topic is 'Name of the bus event, as the watch says.';
comment on column recovery.event.key is 'Primary key of the row as text; a JSON array where it has several columns.';
comment on column recovery.event.group_key is 'Group (session) of the row as text.';
comment on column recovery.event.reason is
    'Why: superseded, shutdown, lease_expired, unowned, ...; for a writer the setting recovery.reason, else null.';
comment on column recovery.event.detector is 'Who: writer, boot:<epoch>, sweep:<label>, shutdown:<epoch>.';
comment on column recovery.event.old is 'Values before, of what changed.';
comment on column recovery.event.new is 'Values after.';

-- NOTIFY takes one lock for the whole cluster at commit, so ordinary writes ring at most every 20 ms.
-- Sequences hold when it last rang and up to which event, because they are neither locked nor rolled back.
create sequence recovery.bell_time as bigint minvalue 0 start 0;
create sequence recovery.bell_event as bigint minvalue 0 start 0;

comment on sequence recovery.bell_time is 'Milliseconds since 1970 of the last NOTIFY.';
comment on sequence recovery.bell_event is
    'Up to this event id a closing, a heartbeat or a sweep has rung; a write''s own ring does not count, it may be '
    'rolled back.';
