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

-- A group is one whatever watch it was named through.
create unique index process_unit_key on recovery.process (
    server_epoch, family, scope, key, (case scope when 'row' then watch end), host, pid, process_start
) nulls not distinct;

comment on table recovery.process is
    'The processes (leaders of a process group) that do units of work for servers: what outlives its server is found '
    'here and stopped. Made by recovery.track_process, removed by recovery.untrack_process.';
comment on column recovery.process.id is 'Number of the entry; recovery.untrack_process takes it.';
comment on column recovery.process.server_epoch is 'The epoch that started the process.';
comment on column recovery.process.family is 'Family of the watch.';
comment on column recovery.process.scope is 'row or group.';
comment on column recovery.process.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.process.key is 'Key of the row, or of the group.';
comment on column recovery.process.host is 'Host of the process.';
comment on column recovery.process.pid is 'Process id on that host; the id of its group if it leads one.';
comment on column recovery.process.process_start is
    'When the process started: tells it from a later one with the same pid.';
comment on column recovery.process.registered is 'When it was registered.';
comment on index recovery.process_unit_key is 'One entry for each process of a unit, of an epoch.';
