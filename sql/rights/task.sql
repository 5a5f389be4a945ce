create type recovery.task as (
    epoch    bigint,
    keys     text[],
    bound    text[],
    key      text,
    max_rows bigint,
    reason   text,
    message  text,
    detector text,
    at       timestamptz,
    written  timestamptz,
    heir     bigint,
    epochs   bigint[],
    since    timestamptz,
    span     interval,
    path     text,
    busy     text[],
    marked   text[]
);

comment on type recovery.task is
    'What a statement about watched rows is told, as ($1).field: the only way from our routines into those that a '
    'runner executes. The planner folds its fields, so that partial indexes serve.';
comment on column recovery.task.epoch is 'Owner of the rows.';
comment on column recovery.task.keys is 'Groups, or the key after which to go on, or the key of one row.';
comment on column recovery.task.bound is 'Last key of a range.';
comment on column recovery.task.key is 'Key or group as recovery.event writes it.';
comment on column recovery.task.max_rows is 'Rows at most.';
comment on column recovery.task.reason is 'Why rows are closed.';
comment on column recovery.task.message is 'The reason in words.';
comment on column recovery.task.detector is 'Who closes.';
comment on column recovery.task.at is 'Now, by recovery._now(): leases, fuses and timeouts are judged by it.';
comment on column recovery.task.written is 'Now, by the database clock: it is written into rows and events.';
comment on column recovery.task.heir is 'Epoch that takes the rows over.';
comment on column recovery.task.epochs is 'Epochs that own open rows.';
comment on column recovery.task.since is 'Since when sweepers watch without a break.';
comment on column recovery.task.span is 'The least timeout.';
comment on column recovery.task.path is 'search_path that the host''s writers have: its triggers see it.';
comment on column recovery.task.marked is 'Keys of the rows that alive was found false for.';
comment on column recovery.task.busy is 'Groups in which others are known to have open work.';
