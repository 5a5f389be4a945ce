create type recovery.event_filter as (
    watch     text[],
    group_key text[],
    reason    text[],
    kind      text[],
    topic     text[],
    epoch     bigint[]
);

comment on type recovery.event_filter is
    'Which events a consumer wants: an event must be in each list that is given. A null in a list stands for events '
    'that have none.';
comment on column recovery.event_filter.watch is 'Names of watches.';
comment on column recovery.event_filter.group_key is 'Groups.';
comment on column recovery.event_filter.reason is 'Reasons.';
comment on column recovery.event_filter.kind is 'Kinds.';
comment on column recovery.event_filter.topic is 'Topics.';
comment on column recovery.event_filter.epoch is 'Epochs of the owners.';
