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
         when v.held_because is not null then 'held back'
         when v.dead then 'dead'
         when s.drain_until is not null then 'draining'
         when s.suspected is not null then 'suspected'
         else 'live' end as state,
    v.held_until,
    v.held_because,
    coalesce(w.open_rows, 0)::bigint as open_rows
from recovery.server as s
left join recovery.judgement as v on v.epoch = s.epoch
left join (select o.server_epoch, sum(o.open_rows) as open_rows from recovery.open_work() as o
    group by o.server_epoch) as w
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
comment on column recovery.server_status.state is
    'live, draining, suspected (keeper connection lost), held back (looks dead, but see held_because), dead (the next '
    'sweep ends it) or ended.';
comment on column recovery.server_status.held_until is 'Not declared dead before then.';
comment on column recovery.server_status.held_because is 'Why not.';
comment on column recovery.server_status.open_rows is 'Open rows it owns.';
