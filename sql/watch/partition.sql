create table recovery.partition (
    watch    integer  not null,
    relation regclass not null,
    filenode oid      not null,
    detached timestamptz,
    since    bigint   not null,
    seen     bigint,
    mark     xid8,
    constraint partition_pkey primary key (watch, relation)
);

comment on table recovery.partition is
    'The partitions that a sweep has seen below each watched table. PostgreSQL fires no trigger when one is detached, '
    'dropped or truncated: the next sweep compares, and says which open rows are gone.';
comment on column recovery.partition.watch is 'Number of the watch.';
comment on column recovery.partition.relation is 'The partition, at whatever level.';
comment on column recovery.partition.filenode is 'Its file: TRUNCATE gives it a new one.';
comment on column recovery.partition.detached is
    'When a sweep found it detached, with what PostgreSQL leaves in it: column and index. Null: it is a partition.';
comment on column recovery.partition.since is
    'No event before this one is the last word of an open row: the search for rows that are gone begins here. Since, '
    'seen and mark are the same for all partitions of a watch.';
comment on column recovery.partition.seen is 'The newest event at the last such search.';
comment on column recovery.partition.mark is
    'When the oldest transaction has reached this one, all events up to seen are there, or were rolled back.';
