create or replace view recovery.server_status as
select
    s.epoch,
    s.name,
    s.host,
    s.pid,
    s.version,
    s.lease,
    s.booted,
    s.heartbeat,
    s.ended,
    s.reason,
    case when s.ended is not null then 'ended'
         when s.heartbeat + s.lease < clock_timestamp() then 'lapsed'
         else 'live' end as state,
    coalesce(w.open_rows, 0)::bigint as open_rows
from recovery.server as s
left join (select o.server_epoch, sum(o.open_rows) as open_rows from recovery.open_work() as o group by o.server_epoch) as w
    on w.server_epoch = s.epoch;

comment on view recovery.server_status is 'Every boot with its state (live, lapsed, ended) and the open rows it owns.';
comment on column recovery.server_status.epoch is 'Epoch of the boot.';
comment on column recovery.server_status.name is 'Name of the server.';
comment on column recovery.server_status.host is 'Host it runs on.';
comment on column recovery.server_status.pid is 'Process id there.';
comment on column recovery.server_status.version is 'Version of the application.';
comment on column recovery.server_status.lease is 'Lease.';
comment on column recovery.server_status.booted is 'When it booted.';
comment on column recovery.server_status.heartbeat is 'Last heartbeat.';
comment on column recovery.server_status.ended is 'When it ended.';
comment on column recovery.server_status.reason is 'Why it ended.';
comment on column recovery.server_status.state is 'live, lapsed (no heartbeat within the lease) or ended.';
comment on column recovery.server_status.open_rows is 'Open rows it owns.';
