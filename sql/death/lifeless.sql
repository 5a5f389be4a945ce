create table recovery.lifeless (
    watch     text        not null,
    key       text        not null,
    group_key text,
    run       text        not null,
    since     timestamptz not null,
    retry_at  timestamptz not null default '-infinity',
    constraint lifeless_pkey primary key (watch, key)
) with (fillfactor = 70);

comment on table recovery.lifeless is
    'Open rows for which alive was false at the last look: one that it finds so for the first time is noted, and '
    'convicted once that has been so for alive_lease without a break. Written and pruned by the sweep.';
comment on column recovery.lifeless.watch is 'Name of the watch.';
comment on column recovery.lifeless.key is 'Key of the row, as in recovery.event.';
comment on column recovery.lifeless.group_key is 'Its group.';
comment on column recovery.lifeless.run is
    'Owner and start of the work: another run of the same row is noted anew.';
comment on column recovery.lifeless.since is
    'First look that found it so; a look later than that, where so much time lay before it that nobody knows what '
    'happened in between.';
comment on column recovery.lifeless.retry_at is 'It could not be closed: not tried again before.';
