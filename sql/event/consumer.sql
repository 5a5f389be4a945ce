create table recovery.consumer (
    name        text               not null,
    wanted      recovery.event_filter,
    newest      bigint             not null,
    gaps        int8multirange     not null default '{}',
    page        bigint             not null default 0,
    page_last   bigint,
    page_newest bigint,
    page_gaps   int8multirange,
    expires     interval           not null,
    created     timestamptz        not null default clock_timestamp(),
    seen        timestamptz        not null default clock_timestamp(),
    constraint consumer_pkey primary key (name)
) with (fillfactor = 50);

comment on table recovery.consumer is
    'Named consumers of the events and how far each has come. An event counts as delivered up to newest, except in '
    'the gaps.';
comment on column recovery.consumer.name is 'Given by recovery.create_consumer().';
comment on column recovery.consumer.wanted is 'Which events it gets.';
comment on column recovery.consumer.newest is 'Every event that was visible up to here is done.';
comment on column recovery.consumer.gaps is
    'Ids up to newest that were not visible: of transactions that ran, or were rolled back. What appears here still '
    'comes.';
comment on column recovery.consumer.page is 'Number of the last fetch, never given out again: only its receipts count.';
comment on column recovery.consumer.page_last is 'The last event of that fetch; null if there was none.';
comment on column recovery.consumer.page_newest is 'Where newest will be once the last fetch is acknowledged.';
comment on column recovery.consumer.page_gaps is 'The gaps then.';
comment on column recovery.consumer.expires is
    'Once it has not fetched for so long it counts as abandoned, and no longer keeps events from being dropped.';
comment on column recovery.consumer.created is 'When it was created.';
comment on column recovery.consumer.seen is 'Its last fetch or acknowledgement, to the minute.';
