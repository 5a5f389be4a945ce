/* The outbox: what transactions have to tell, written by them. One row, a record, holds one event, or up to 100
   closings of one batch that differ in nothing but their key and group: what is the same for all is stored once.

   Ids of records are multiples of 100, so that the events in a record have ids of their own, in a row: see
   recovery.event. What a record may hold is checked by the views through which writers append, outbox_1 and so on: a
   constraint is read anew from the catalog by every statement, which costs half as much as the whole INSERT.

   A writer takes its id after its transaction has an id (pg_current_xact_id), which is what
   recovery._settled() relies on.

   The partitions are a ring of four, made ahead, once and for all; each takes two billion ids in turn. Nothing is ever
   created or dropped while somebody writes, for either would lock out the writers: recovery._retain_events() empties
   the partition that nobody writes any more. If ids come round to one that could not be emptied, it holds both.

   Which partition is a column of its own: an expression of the id as the partition key would be planned anew by every
   INSERT. Its default is evaluated after that of the id, as columns are in their order. */
create table recovery.outbox (
    id           bigint      generated always as identity (start with 100 increment by 100),
    at           timestamptz not null default clock_timestamp(),
    server_epoch bigint,
    watch        text        not null,
    kind         text        not null,
    topic        text,
    key          text,
    group_key    text,
    reason       text,
    detector     text        not null,
    old          jsonb,
    new          jsonb,
    keys         text[],
    group_keys   text[],
    slot         smallint    not null
) partition by list (slot);

alter table recovery.outbox alter column slot set default currval('recovery.outbox_id_seq') / 2000000000 % 4;

create index outbox_id on recovery.outbox (id);

do $$
begin
    for v_slot in 0 .. 3 loop
        -- Records of many keys stay in one piece.
        execute format(
            'create table recovery.outbox_slot_%s partition of recovery.outbox for values in (%s) '
            'with (toast_tuple_target = 8160)', v_slot, v_slot);
        execute format('comment on table recovery.outbox_slot_%s is %L', v_slot,
            'Events whose id, divided by two billion, leaves the rest ' || v_slot || ' modulo 4.');
    end loop;
end
$$;

comment on table recovery.outbox is
    'What recovery.event shows: events as they are stored, up to 100 in a record. Append-only; written in the '
    'transaction of the change, emptied by the sweep.';
comment on column recovery.outbox.id is 'Of the first event in the record; a multiple of 100.';
comment on column recovery.outbox.at is 'As in recovery.event.';
comment on column recovery.outbox.server_epoch is 'As in recovery.event.';
comment on column recovery.outbox.watch is 'As in recovery.event.';
comment on column recovery.outbox.kind is 'As in recovery.event.';
comment on column recovery.outbox.topic is 'As in recovery.event.';
comment on column recovery.outbox.key is 'As in recovery.event; null if there are keys.';
comment on column recovery.outbox.group_key is 'As in recovery.event; null if there are keys.';
comment on column recovery.outbox.reason is 'As in recovery.event.';
comment on column recovery.outbox.detector is 'As in recovery.event.';
comment on column recovery.outbox.old is 'As in recovery.event.';
comment on column recovery.outbox.new is 'As in recovery.event.';
comment on column recovery.outbox.keys is 'Keys of the events of a record of several, in their order.';
comment on column recovery.outbox.group_keys is 'Their groups; null if none has one.';
comment on column recovery.outbox.slot is 'The partition: the id, divided by two billion, modulo 4.';

-- NOTIFY takes one lock for the whole cluster at commit, so ordinary writes ring at most every 50 ms.
-- Sequences hold when it last rang and up to which event, because they are neither locked nor rolled back.
create sequence recovery.bell_time as bigint minvalue 0 start 0;
create sequence recovery.bell_event as bigint minvalue 0 start 0;

comment on sequence recovery.bell_time is 'Milliseconds since 1970 of the last NOTIFY.';
comment on sequence recovery.bell_event is
    'Up to this event id a closing, a heartbeat or a sweep has rung; a write''s own ring does not count, it may be '
    'rolled back.';
