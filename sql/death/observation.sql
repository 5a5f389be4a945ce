create table recovery.observation (
    one           boolean     not null default true,
    postmaster    timestamptz,
    timeline      text,
    since         timestamptz,
    swept         timestamptz,
    gap           interval,
    mass_since    timestamptz,
    because       text,
    asked         timestamptz,
    asked_gap     interval,
    sweeper       bigint,
    sweeper_every interval,
    constraint observation_pkey primary key (one),
    constraint observation_one_check check (one)
) with (fillfactor = 50);

insert into recovery.observation default values;

comment on table recovery.observation is
    'Since when sweepers have watched without a break. Silence means death only after a full lease of watching: a '
    'dead database, or sweepers that slept, are not dead servers.';
comment on column recovery.observation.one is 'There is one row.';
comment on column recovery.observation.postmaster is 'Start of the PostgreSQL server that was seen last.';
comment on column recovery.observation.timeline is 'Its timeline.';
comment on column recovery.observation.since is 'Watching without a break since then.';
comment on column recovery.observation.swept is 'Last sweep of anybody.';
comment on column recovery.observation.gap is 'Time between the last two sweeps: what is usual here.';
comment on column recovery.observation.mass_since is 'Since when most servers look dead at once.';
comment on column recovery.observation.because is 'Why watching began anew.';
comment on column recovery.observation.asked is
    'When a server that stands by last asked whether to sweep: it watches, too.';
comment on column recovery.observation.asked_gap is
    'The longest time without anybody looking that such a question has ended since the last sweep.';
comment on column recovery.observation.sweeper is
    'Epoch of the server that sweeps for all; others stand by, see recovery.claim_sweep.';
comment on column recovery.observation.sweeper_every is 'How often it sweeps.';
