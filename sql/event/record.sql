create or replace view recovery.record as
select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason, o.detector, o.old, o.new,
       o.keys is not null as several, o.slot
from recovery.outbox as o;

comment on view recovery.record is
    'The events as they are stored: one a row, or up to 100 closings that differ only in key and group. For listeners '
    'that look for the next event itself; recovery.event shows each of them.';
comment on column recovery.record.id is 'Of its first event.';
comment on column recovery.record.at is 'As in recovery.event.';
comment on column recovery.record.server_epoch is 'As in recovery.event.';
comment on column recovery.record.watch is 'As in recovery.event.';
comment on column recovery.record.kind is 'As in recovery.event.';
comment on column recovery.record.topic is 'As in recovery.event.';
comment on column recovery.record.key is 'As in recovery.event; null if it holds several.';
comment on column recovery.record.group_key is 'As in recovery.event; null if it holds several.';
comment on column recovery.record.reason is 'As in recovery.event.';
comment on column recovery.record.detector is 'As in recovery.event.';
comment on column recovery.record.old is 'As in recovery.event.';
comment on column recovery.record.new is 'As in recovery.event.';
comment on column recovery.record.several is 'It holds several events: recovery.event has to be asked.';
comment on column recovery.record.slot is
    'In which partition it is, of four: its id, divided by two billion, modulo 4. Who knows where the next one will be '
    'need not look into all.';
