create table recovery.look (
    watch      text        not null,
    postmaster timestamptz,
    timeline   text,
    since      timestamptz,
    at         timestamptz,
    gap        interval,
    mass_since timestamptz,
    because    text,
    constraint look_pkey primary key (watch)
) with (fillfactor = 50);

comment on table recovery.look is
    'Since when sweepers have looked without a break at the rows of each watch that says what is alive: as '
    'recovery.observation for servers, of which there may be none.';
comment on column recovery.look.watch is 'Name of the watch.';
comment on column recovery.look.postmaster is 'Start of the PostgreSQL server at the last look.';
comment on column recovery.look.timeline is 'Its timeline.';
comment on column recovery.look.since is 'Looked at without a break since then.';
comment on column recovery.look.at is 'The last look.';
comment on column recovery.look.gap is 'The longest time between two of the last looks: what is usual here.';
comment on column recovery.look.mass_since is 'Since when most open rows of the watch look dead.';
comment on column recovery.look.because is 'Why looking began anew.';
