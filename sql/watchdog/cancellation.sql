create table recovery.cancellation (
    id           bigint      generated always as identity,
    family       text        not null,
    scope        text        not null,
    watch        text        not null,
    key          text        not null,
    server_epoch bigint,
    reason       text        not null,
    detail       jsonb,
    requested    timestamptz not null default clock_timestamp(),
    deadline     timestamptz not null,
    constraint cancellation_pkey primary key (id),
    constraint cancellation_scope_check check (scope in ('row', 'group'))
);

-- A group is one whatever watch it was named through.
create unique index cancellation_unit_key on recovery.cancellation
    (family, scope, key, (case scope when 'row' then watch end)) nulls not distinct;

comment on table recovery.cancellation is
    'Live owners that were asked to stop a unit of work that is overdue. An acknowledgement closes it at once, '
    'the deadline without one.';
comment on column recovery.cancellation.id is 'Number of the request; recovery.acknowledge_cancellation takes it.';
comment on column recovery.cancellation.family is 'Family of the watch.';
comment on column recovery.cancellation.scope is 'row or group.';
comment on column recovery.cancellation.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.cancellation.key is 'Key of the row, or of the group.';
comment on column recovery.cancellation.server_epoch is 'Who is asked; null: nobody owns it.';
comment on column recovery.cancellation.reason is 'tool_timeout, task_timeout, idle_timeout, wall_timeout.';
comment on column recovery.cancellation.detail is
    'row: key of the overdue row, kind: its kind, limit: the timeout in words, since: when its clock began.';
comment on column recovery.cancellation.requested is 'When it was asked.';
comment on column recovery.cancellation.deadline is 'Closed anyway after that.';
comment on index recovery.cancellation_unit_key is 'One request for each unit.';
