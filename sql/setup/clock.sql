create table recovery.clock (
    one   boolean  not null default true,
    shift interval not null default interval '0',
    constraint clock_pkey primary key (one),
    constraint clock_one_check check (one)
);

insert into recovery.clock default values;

comment on table recovery.clock is
    'Moves the clock by which leases, fuses and timeouts are judged; for tests, and only the owner can.';
comment on column recovery.clock.one is 'There is one row.';
comment on column recovery.clock.shift is 'Added to the database clock.';
