create table recovery.runner (
    id         integer generated always as identity,
    owner      regrole not null,
    role       name    not null,
    gate       name    not null,
    privileged boolean not null,
    constraint runner_pkey primary key (id),
    constraint runner_owner_key unique (owner)
);

comment on table recovery.runner is
    'For each owner of watched tables the role that executes what stands in them: expressions, triggers, defaults. Written by recovery.permit. Its functions run_<id> and gate_<id> are the only way in.';
comment on column recovery.runner.id is 'Number of the runner; its functions are called by it.';
comment on column recovery.runner.owner is 'Whose tables.';
comment on column recovery.runner.role is 'The runner: no login, a member of the owner (or, if that is privileged, granted what it needs table by table).';
comment on column recovery.runner.gate is 'A role that can do nothing but call run_<id>: even if host code alters that function, which belongs to the runner, it gains nothing.';
comment on column recovery.runner.privileged is 'The owner is a superuser or belongs to recovery_owner: the runner is no member of it.';
