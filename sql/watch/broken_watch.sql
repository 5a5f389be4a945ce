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

comment on table recovery.broken_watch is
    'Watches whose expressions, table or runner fail: their rows wait, all others are served. Written and cleared by '
    'boots and sweeps, shown by status.';
comment on column recovery.broken_watch.watch is 'Name of the watch.';
comment on column recovery.broken_watch.since is 'When it failed first.';
comment on column recovery.broken_watch.at is 'When it failed last.';
comment on column recovery.broken_watch.sqlstate is 'SQLSTATE of the last error.';
comment on column recovery.broken_watch.message is 'Message of the last error.';
comment on column recovery.broken_watch.state is 'Of its table then, as recovery._table_state prints it.';
comment on column recovery.broken_watch.remedy is 'What repairs it: a statement, where there is one.';
