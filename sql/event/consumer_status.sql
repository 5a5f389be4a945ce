create or replace view recovery.consumer_status as
select c.name,
       coalesce(lower(c.gaps) - 1, c.newest) as position,
       c.newest,
       (select count(*) from unnest(c.gaps)) as gaps,
       -- By partition, for between two of them ids leave out many.
       coalesce((
           select sum((s.last - s.first) / 100 + 1)
           from (
               select min(o.id) as first, max(o.id) as last from recovery.outbox_slot_0 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_1 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_2 as o where o.id > c.newest
               union all
               select min(o.id), max(o.id) from recovery.outbox_slot_3 as o where o.id > c.newest
           ) as s), 0)::bigint as behind,
       coalesce(clock_timestamp() - (
           select o.at from recovery.outbox as o where o.id > c.newest order by o.id limit 1), interval '0') as lag,
       c.seen,
       c.expires,
       case when c.seen < clock_timestamp() - c.expires then 'expired'
            when c.newest < (select f.id from recovery.event_floor as f) then 'behind what is kept'
            when c.page_last > c.newest then 'reading'
            else 'active' end as state,
       jsonb_strip_nulls(jsonb_build_object(
           'watch', (c.wanted).watch, 'group', (c.wanted).group_key, 'reason', (c.wanted).reason,
           'kind', (c.wanted).kind, 'topic', (c.wanted).topic, 'epoch', (c.wanted).epoch)) as filters
from recovery.consumer as c;

comment on view recovery.consumer_status is 'How far each named consumer has come.';
comment on column recovery.consumer_status.name is 'Given by recovery.create_consumer().';
comment on column recovery.consumer_status.position is
    'Everything up to here is settled and done. It waits for the oldest transaction that may still write.';
comment on column recovery.consumer_status.newest is 'Everything that was visible up to here is done.';
comment on column recovery.consumer_status.gaps is 'Ranges of ids between the two that may still appear.';
comment on column recovery.consumer_status.behind is
    'About how many records have been written since: an event each, or a hundred of a closing.';
comment on column recovery.consumer_status.lag is 'Age of the oldest event that is not done.';
comment on column recovery.consumer_status.seen is 'Its last fetch or acknowledgement, to the minute.';
comment on column recovery.consumer_status.expires is 'Without one for so long it counts as abandoned.';
comment on column recovery.consumer_status.state is
    'active; reading (a fetch is not acknowledged yet); expired (abandoned: events are not kept for it); '
    'behind what is kept (events were dropped before it had them: its next fetch says so).';
comment on column recovery.consumer_status.filters is 'Which events it wants.';
