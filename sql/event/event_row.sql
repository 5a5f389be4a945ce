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

comment on type recovery.event_row is 'One event, as functions hand it on: the columns of recovery.event.';
comment on column recovery.event_row.id is 'As in recovery.event.';
comment on column recovery.event_row.at is 'As in recovery.event.';
comment on column recovery.event_row.server_epoch is 'As in recovery.event.';
comment on column recovery.event_row.watch is 'As in recovery.event.';
comment on column recovery.event_row.kind is 'As in recovery.event.';
comment on column recovery.event_row.topic is 'As in recovery.event.';
comment on column recovery.event_row.key is 'As in recovery.event.';
comment on column recovery.event_row.group_key is 'As in recovery.event.';
comment on column recovery.event_row.reason is 'As in recovery.event.';
comment on column recovery.event_row.detector is 'As in recovery.event.';
comment on column recovery.event_row.old is 'As in recovery.event.';
comment on column recovery.event_row.new is 'As in recovery.event.';
