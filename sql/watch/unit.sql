create type recovery.unit as (
    family text,
    scope  text,
    watch  text,
    key    text
);

comment on type recovery.unit is
    'A unit of work: what is guarded by a fuse, done by a process, timed out, or closed by hand. A row is told by its '
    'watch and key, a group (session) by its family and key.';
comment on column recovery.unit.family is 'Family of the watch; with the key it says which group.';
comment on column recovery.unit.scope is 'row: one row; group: one group with all its rows.';
comment on column recovery.unit.watch is
    'Watch of the row; of a group the watch through which it was named, which may be any of its family.';
comment on column recovery.unit.key is 'Key of the row or of the group, as recovery.event shows it.';
