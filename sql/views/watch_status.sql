create or replace view recovery.watch_status as
select
    w.name as watch,
    w.relation,
    coalesce(sum(o.open_rows), 0)::bigint as open_rows,
    coalesce(sum(o.open_rows) filter (where s.ended is not null or s.pending is not null), 0)::bigint as orphans,
    coalesce(sum(o.open_rows) filter (where o.open_rows is not null and o.server_epoch is null), 0)::bigint as unowned,
    (select count(*) from recovery.failure as f where f.watch = w.name) as failures,
    recovery.waiting(w.name) as waiting,
    recovery.is_stale(w.relation) as stale
from recovery.attached() as w
left join recovery.open_work() as o on o.watch = w.name
left join recovery.server as s on s.epoch = o.server_epoch
group by w.family, w.position, w.name, w.relation
order by w.family, w.position, w.name;

comment on view recovery.watch_status is 'Each watched table with its open rows, orphans, unowned rows and failures.';
comment on column recovery.watch_status.watch is 'Name of the watch.';
comment on column recovery.watch_status.relation is 'Watched table.';
comment on column recovery.watch_status.open_rows is 'Rows of work in flight.';
comment on column recovery.watch_status.orphans is 'Of these, owned by an ended epoch.';
comment on column recovery.watch_status.unowned is 'Of these, owned by nobody.';
comment on column recovery.watch_status.waiting is 'Open rows that are on hold: they wait for a human, or for a point in time.';
comment on column recovery.watch_status.failures is 'Rows that could not be closed.';
comment on column recovery.watch_status.stale is 'The host has added a BEFORE UPDATE trigger since: call recovery.attach again, it makes our triggers notice what that one changes.';
