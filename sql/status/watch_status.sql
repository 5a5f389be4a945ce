create or replace view recovery.watch_status as
with
w as materialized (select a.*, recovery._is_replicated(a.family) as replicated from recovery._attached_watches() as a),
o as materialized (
    select c.watch, c.server_epoch, c.open_rows, w.replicated and not recovery._issued_here(c.server_epoch) as elsewhere
    from recovery.open_work() as c join w on w.name = c.watch)
select
    w.name as watch,
    w.relation,
    coalesce(sum(o.open_rows), 0)::bigint as open_rows,
    coalesce(sum(o.open_rows) filter (where (s.ended is not null or s.pending is not null) and not o.elsewhere),
        0)::bigint as orphans,
    coalesce(sum(o.open_rows) filter (where o.open_rows is not null and o.server_epoch is null and not o.elsewhere),
        0)::bigint as unowned,
    (select count(*) from recovery.failure as f where f.watch = w.name) as failures,
    recovery._rows_on_hold(w.name) as waiting,
    recovery._is_stale(w.relation) as stale,
    case when w.replicated then coalesce(sum(o.open_rows) filter (where o.elsewhere), 0)::bigint end as elsewhere
from w
left join o on o.watch = w.name
left join recovery.server as s on s.epoch = o.server_epoch
group by w.family, w.position, w.name, w.relation, w.replicated
order by w.family, w.position, w.name;

comment on view recovery.watch_status is 'Each watched table with its open rows, orphans, unowned rows and failures.';
comment on column recovery.watch_status.watch is 'Name of the watch.';
comment on column recovery.watch_status.relation is 'Watched table.';
comment on column recovery.watch_status.open_rows is 'Rows of work in flight.';
comment on column recovery.watch_status.orphans is 'Of these, owned by an ended epoch.';
comment on column recovery.watch_status.unowned is
    'Of these, owned by nobody: written without an epoch, so that nobody notices when their process dies.';
comment on column recovery.watch_status.waiting is
    'Open rows that are on hold: they wait for a human, or for a point in time.';
comment on column recovery.watch_status.failures is 'Rows that could not be closed.';
comment on column recovery.watch_status.stale is
    'The host has added a BEFORE UPDATE trigger since: call recovery.attach again, it makes our triggers notice what '
    'that one changes.';
comment on column recovery.watch_status.elsewhere is
    'Open rows that came by logical replication and are left alone: they belong to nobody here until a server writes '
    'its epoch into them, or the subscription is dropped. Null: no subscription writes the table.';
