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

create index server_name_live on recovery.server (name) where ended is null;

comment on table recovery.server is 'One row for each boot of a server; the epoch is its fencing token.';
comment on column recovery.server.epoch is 'Grows, is never reused: at least the microsecond clock at boot.';
comment on column recovery.server.name is
    'Stable name of the server, e.g. api-1; a new boot supersedes older epochs of the same name.';
comment on column recovery.server.host is 'Host the process runs on, as it said itself.';
comment on column recovery.server.pid is 'Process id on that host.';
comment on column recovery.server.process_start is
    'When that process started: tells it from a later one with the same pid.';
comment on column recovery.server.version is 'Version of the application, for people.';
comment on column recovery.server.token is
    'Random secret of this boot: a heartbeat must show it, so an epoch issued twice is noticed.';
comment on column recovery.server.lease is 'How long the server counts as alive after its last heartbeat.';
comment on column recovery.server.grace is 'How long a lost keeper connection is only a suspicion.';
comment on column recovery.server.booted is 'When this epoch began.';
comment on column recovery.server.heartbeat is
    'Last heartbeat by the database clock; not indexed, so that it stays HOT.';
comment on column recovery.server.keeper is
    'Its keeper holds the session advisory lock -epoch: the absence of the lock means something.';
comment on column recovery.server.beat is 'How often its keeper beats; null: it has not said.';
comment on column recovery.server.suspected is 'When a sweep first missed that lock; a heartbeat clears it.';
comment on column recovery.server.looked_at is
    'From when on the want of a beat counts: the last sweep before the one that first found it late, or that one '
    'itself if the database may have stood still in between.';
comment on column recovery.server.looked_beat is 'The heartbeat that sweep found: a newer one makes it void.';
comment on column recovery.server.process_dead is 'When a sweeper on its own host found the process dead.';
comment on column recovery.server.process_seen is
    'When a sweeper on its own host last saw the process alive; not indexed, so that it stays HOT.';
comment on column recovery.server.drain_until is
    'Drains: opens no new work, keeps what it owns until then, and is not superseded.';
comment on column recovery.server.pending is
    'The reason with which it is to end, while a transaction still holds its row (a foreign key of the host does); it '
    'may not write any more, and its orphans are closed.';
comment on column recovery.server.heir is 'Live epoch that takes over what it still owns.';
comment on column recovery.server.ended is 'When the epoch ended; null while it may own work.';
comment on column recovery.server.reason is
    'Why it ended: shutdown, superseded, lease_expired, connection_lost, process_dead, drain_expired, evicted or '
    'epoch_lost.';
comment on constraint server_epoch_ended_key on recovery.server is
    'Makes ending a key update; see the fence in ARCHITECTURE.md.';
comment on index recovery.server_name_live is 'Finds the live epochs of a name at boot.';
