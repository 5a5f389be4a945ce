create table recovery.sweep_run (
    label    text        not null,
    at       timestamptz not null,
    took     interval    not null,
    report   jsonb       not null,
    constraint sweep_run_pkey primary key (label)
) with (fillfactor = 50);

comment on table recovery.sweep_run is 'Last sweep of each sweeper.';
comment on column recovery.sweep_run.label is 'Who swept: a server name, or the role that called.';
comment on column recovery.sweep_run.at is 'When it finished.';
comment on column recovery.sweep_run.took is 'How long it took.';
comment on column recovery.sweep_run.report is 'What it did, as recovery.sweep returned it.';
