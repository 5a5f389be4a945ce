create or replace view recovery.verdict as
select
    s.epoch,
    s.name,
    s.heartbeat + s.lease < clock_timestamp() as dead,
    'lease_expired'::text as reason
from recovery.server as s
where s.ended is null;

comment on view recovery.verdict is
    'The one place that says which server is dead, and why. Evidence so far: the lease has lapsed.';
comment on column recovery.verdict.epoch is 'A server that has not ended.';
comment on column recovery.verdict.name is 'Its name.';
comment on column recovery.verdict.dead is 'The evidence says it is dead.';
comment on column recovery.verdict.reason is 'The reason with which it would end.';
