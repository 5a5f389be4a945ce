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
    process_dead  timestamptz,
    process_seen  timestamptz,
    retry_at      timestamptz not null default '-infinity',
    constraint fuse_pkey primary key (id),
    constraint fuse_unit_key unique (family, scope, watch, key),
    constraint fuse_scope_check check (scope in ('row', 'group')),
    constraint fuse_ttl_check check (ttl > interval '0')
) with (fillfactor = 70);

comment on table recovery.fuse is
    'A lease on one unit of work (a row or a group). While it is active and its process is not known dead, the unit is kept although its server has ended; when it burns out or the process dies, the unit is closed. Made by recovery.light, moved by recovery.extend, removed by recovery.cancel.';
comment on column recovery.fuse.id is 'Number of the fuse.';
comment on column recovery.fuse.family is 'Family of the watch.';
comment on column recovery.fuse.scope is 'row or group.';
comment on column recovery.fuse.watch is 'Watch of the row; empty for a group.';
comment on column recovery.fuse.key is 'Key of the row, or of the group.';
comment on column recovery.fuse.host is 'Host of the process.';
comment on column recovery.fuse.pid is 'The process that does the work; a fuse without one guards nothing.';
comment on column recovery.fuse.process_start is 'When the process started: tells it from a later one with the same pid.';
comment on column recovery.fuse.ttl is 'How long it burns after lit or extended, unless told otherwise.';
comment on column recovery.fuse.lit is 'When it was lit.';
comment on column recovery.fuse.expires is 'Burnt out after that; not indexed, so that extending stays HOT.';
comment on column recovery.fuse.retry_at is 'It has burnt out and its unit could not be closed: not tried again before.';
comment on column recovery.fuse.process_dead is 'When a sweeper on its host found the process dead.';
comment on column recovery.fuse.process_seen is 'When a sweeper on its host last saw the process alive; not indexed, so that it stays HOT.';
