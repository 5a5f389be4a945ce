create or replace view recovery.event as
select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason, o.detector, o.old, o.new
from recovery.outbox as o
where o.keys is null
union all
select o.id + k.n - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, k.key, k.group_key, o.reason, o.detector,
       o.old, o.new
from recovery.outbox as o
cross join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
where o.keys is not null;

comment on view recovery.event is
    'One durable row for each transition of a watched row, in the transaction that made it. Ids of one row grow in '
    'the order of its changes. To follow it: recovery.fetch() or recovery.read(), which lose nothing.';
comment on column recovery.event.id is 'Grows in order of writing, not of commit, and leaves numbers out.';
comment on column recovery.event.at is 'Database clock at the change.';
comment on column recovery.event.server_epoch is 'Owner of the row; for a closing the epoch whose work was closed.';
comment on column recovery.event.watch is 'Name of the watch.';
comment on column recovery.event.kind is
    'opened, reopened, closed, requeued, deleted, adopted (a row); failed, idle (a group); broken, repaired, gap (a '
    'watch, key empty); cancel (a row or group: asks its owner to stop it).';
comment on column recovery.event.topic is 'Name of the bus event, as the watch says.';
comment on column recovery.event.key is 'Primary key of the row as text; a JSON array where it has several columns.';
comment on column recovery.event.group_key is 'Group (session) of the row as text.';
comment on column recovery.event.reason is
    'Why: superseded, shutdown, lease_expired, unowned, ...; for a writer the setting recovery.reason, else null.';
comment on column recovery.event.detector is 'Who: writer, boot:<epoch>, sweep:<label>, shutdown:<epoch>.';
comment on column recovery.event.old is 'Values before, of what changed.';
comment on column recovery.event.new is 'Values after.';
