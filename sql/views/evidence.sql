create or replace view recovery.evidence as
select
    s.epoch,
    s.name,
    s.lease,
    s.heartbeat + s.lease < recovery.now() as lease_expired,
    coalesce(s.suspected + s.grace < recovery.now(), false) as connection_lost,
    s.pending,
    s.process_dead is not null as process_dead,
    coalesce(s.drain_until < recovery.now(), false) as drain_expired,
    s.heartbeat + s.lease < recovery.now() or coalesce(s.suspected + s.grace < recovery.now(), false) as quiet
from recovery.server as s
where s.ended is null;

comment on view recovery.evidence is 'What speaks for the death of each server that has not ended.';
comment on column recovery.evidence.epoch is 'The server.';
comment on column recovery.evidence.name is 'Its name.';
comment on column recovery.evidence.lease is 'Its lease.';
comment on column recovery.evidence.lease_expired is 'No heartbeat within the lease.';
comment on column recovery.evidence.connection_lost is 'Its keeper connection is gone, and no heartbeat came within the grace after that was noticed.';
comment on column recovery.evidence.pending is 'It was to end with this reason, and a transaction of its own held that up.';
comment on column recovery.evidence.process_dead is 'A sweeper on its own host found the process dead.';
comment on column recovery.evidence.drain_expired is 'It drained, and the limit is over.';
comment on column recovery.evidence.quiet is 'Silent: evidence that a failure of the database or of the sweepers would produce as well.';
