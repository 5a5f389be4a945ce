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

create index fuse_unit on recovery.fuse (family, scope, key, watch);

comment on table recovery.fuse is
    'A lease on one unit of work (a row or a group), which may have several. While one is active and its process is '
    'not known dead, the unit is kept although its server has ended; when the last burns out or its process dies, '
    'the unit is closed. Made by recovery.light_fuse, moved by recovery.extend_fuse, removed by recovery.cancel_fuse.';
comment on column recovery.fuse.id is 'Number of the fuse.';
comment on column recovery.fuse.family is 'Family of the watch.';
comment on column recovery.fuse.scope is 'row or group.';
comment on column recovery.fuse.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.fuse.key is 'Key of the row, or of the group.';
comment on column recovery.fuse.host is 'Host of the process.';
comment on column recovery.fuse.pid is 'The process that does the work; a fuse without one guards nothing.';
comment on column recovery.fuse.process_start is
    'When the process started: tells it from a later one with the same pid.';
comment on column recovery.fuse.ttl is 'How long it burns after lit or extended, unless told otherwise.';
comment on column recovery.fuse.lit is 'When it was lit.';
comment on column recovery.fuse.expires is
    'Until then it burns in any case; not indexed, so that extending stays HOT. See recovery.fuse_state.';
comment on column recovery.fuse.looked_at is
    'When a sweep found it late, if the database may have stood still until just then; -infinity: it had not. Null: '
    'not late.';
comment on column recovery.fuse.retry_at is
    'It has burnt out and its unit could not be closed: not tried again before.';
comment on column recovery.fuse.process_dead is 'When a sweeper on its host found the process dead.';
comment on column recovery.fuse.process_seen is
    'When a sweeper on its host last saw the process alive; not indexed, so that it stays HOT.';
comment on column recovery.fuse.nonce is 'Drawn by whoever lit it, so that a repeated call makes no second fuse.';
comment on constraint fuse_nonce_key on recovery.fuse is 'One fuse for each nonce; nulls are distinct.';
comment on index recovery.fuse_unit is
    'Finds the fuses of a unit: the guards of a row. The watch comes last, because a group is found without it.';
