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

comment on table recovery.failure is
    'Orphans that could not be closed, with the error; retried with backoff, shown by status.';
comment on column recovery.failure.watch is 'Name of the watch.';
comment on column recovery.failure.key is 'Key of the row, as in recovery.event.';
comment on column recovery.failure.key_parts is 'Its primary key columns as text.';
comment on column recovery.failure.server_epoch is 'The ended epoch that owns the row.';
comment on column recovery.failure.attempts is 'How often it was tried.';
comment on column recovery.failure.first_at is 'First failure.';
comment on column recovery.failure.last_at is 'Last failure.';
comment on column recovery.failure.next_at is 'Not tried again before.';
comment on column recovery.failure.sqlstate is 'SQLSTATE of the last error.';
comment on column recovery.failure.message is 'Message of the last error.';
