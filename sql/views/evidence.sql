create or replace view recovery.evidence as
select
    s.epoch,
    s.name,
    s.lease,
    s.heartbeat + s.lease < c.at as lease_expired,
    coalesce(l.until < c.at, false) as connection_lost,
    s.pending,
    s.process_dead is not null as process_dead,
    coalesce(s.drain_until < c.at, false) as drain_expired,
    least(s.heartbeat + s.lease, l.until) < c.at as quiet,
    least(s.heartbeat + s.lease, l.until) as silent_since,
    c.at
from recovery.server as s
-- Read once: the columns must not disagree. A subquery with OFFSET is not pulled up.
cross join (select recovery.now() as at offset 0) as c
-- The loss of the keeper's lock says that a connection is gone. Only a beat that was due since and did not come says
-- more: a live keeper finds out when it beats. (greatest ignores null: who has not said how often gets the grace.)
cross join lateral (select case when s.suspected is not null
    then greatest(s.suspected + s.grace, s.heartbeat + s.beat + least(interval '1 second', s.beat / 4)) end as until) as l
where s.ended is null;

comment on view recovery.evidence is 'What speaks for the death of each server that has not ended.';
comment on column recovery.evidence.epoch is 'The server.';
comment on column recovery.evidence.name is 'Its name.';
comment on column recovery.evidence.lease is 'Its lease.';
comment on column recovery.evidence.lease_expired is 'No heartbeat within the lease.';
comment on column recovery.evidence.connection_lost is 'Its keeper connection is gone, no heartbeat came within the grace after that was noticed, and one was due.';
comment on column recovery.evidence.pending is 'It was to end with this reason, and a transaction that holds its row held that up.';
comment on column recovery.evidence.process_dead is 'A sweeper on its own host found the process dead.';
comment on column recovery.evidence.drain_expired is 'It drained, and the limit is over.';
comment on column recovery.evidence.quiet is 'Silent: evidence that a failure of the database or of the sweepers would produce as well.';
comment on column recovery.evidence.silent_since is 'From when on its silence speaks against it: the end of its lease or of its grace.';
comment on column recovery.evidence.at is 'The clock of this look.';
