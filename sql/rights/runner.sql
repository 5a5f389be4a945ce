create table recovery.runner (
    id         integer generated always as identity,
    owner      regrole not null,
    role       name    not null,
    privileged boolean not null,
    constraint runner_pkey primary key (id),
    constraint runner_owner_key unique (owner)
);

comment on table recovery.runner is
    'For each owner of watched tables the role that executes what stands in them: expressions, triggers, defaults. '
    'Written by recovery.permit.';
comment on column recovery.runner.id is 'Number of the runner; recovery_private.run_<id> is its function.';
comment on column recovery.runner.owner is 'Whose tables.';
comment on column recovery.runner.role is
    'The runner: no login, a member of the owner (or, if that is privileged, granted what it needs table by table).';
comment on column recovery.runner.privileged is
    'The owner is a superuser or belongs to recovery_owner: the runner is no member of it.';
