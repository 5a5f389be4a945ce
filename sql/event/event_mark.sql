create table recovery.event_mark (
    xid xid8        not null,
    id  bigint      not null,
    at  timestamptz not null default clock_timestamp(),
    constraint event_mark_pkey primary key (xid)
);

comment on table recovery.event_mark is
    'Where the ids of events stood when a transaction got its id: whoever had taken one up to there has an older '
    'transaction id. Once none of those runs any more, no event can appear up to there: recovery._settled().';
comment on column recovery.event_mark.xid is 'Taken after the id was looked up.';
comment on column recovery.event_mark.id is 'The last id of an event that had been given out.';
comment on column recovery.event_mark.at is 'When.';
