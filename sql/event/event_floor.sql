create table recovery.event_floor (
    single boolean not null default true,
    id     bigint  not null default 0,
    at     timestamptz,
    looked timestamptz not null default '-infinity',
    constraint event_floor_pkey primary key (single),
    constraint event_floor_single_check check (single)
);

insert into recovery.event_floor default values;

comment on table recovery.event_floor is 'Up to which id events were dropped because of their age or number: one row.';
comment on column recovery.event_floor.single is 'True: there is one row.';
comment on column recovery.event_floor.id is 'No event with an id up to here is kept.';
comment on column recovery.event_floor.at is 'When it was last raised.';
comment on column recovery.event_floor.looked is 'When a sweep last looked for what is too old.';
