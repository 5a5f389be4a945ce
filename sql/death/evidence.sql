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
    s.heartbeat + d.beat as late_since,
    least(case when k.at is not null then greatest(s.heartbeat + s.lease, k.at + d.beat) end,
          -- A look that found it late may have come as the database came back. One that found it in time leaves the
          -- beat that is due.
          case when l.until is not null
              then greatest(l.until, case when k.at > s.heartbeat + d.beat then k.at + d.beat end) end) as sure_since,
    c.at
from recovery.server as s
-- Read once: the columns must not disagree. A subquery with OFFSET is not pulled up.
cross join (select recovery._now() as at offset 0) as c
-- In that time a beat comes, if it can.
cross join lateral (select e.every + least(interval '1 second', e.every / 4) as beat
                    from (select coalesce(s.beat, s.lease / 3) as every) as e) as d
-- The first look at this heartbeat that found it late.
cross join lateral (select case when s.looked_beat = s.heartbeat then s.looked_at end as at) as k
-- The loss of the keeper's lock says that a connection is gone. Only a beat that was due since and did not come says
-- more: a live keeper finds out when it beats. (greatest ignores null: who has not said how often gets the grace.)
cross join lateral (select case when s.suspected is not null
    then greatest(s.suspected + s.grace, case when s.beat is not null then s.heartbeat + d.beat end) end as until) as l
where s.ended is null;

comment on view recovery.evidence is 'What speaks for the death of each server that has not ended.';
comment on column recovery.evidence.epoch is 'The server.';
comment on column recovery.evidence.name is 'Its name.';
comment on column recovery.evidence.lease is 'Its lease.';
comment on column recovery.evidence.lease_expired is 'No heartbeat within the lease.';
comment on column recovery.evidence.connection_lost is
    'Its keeper connection is gone, no heartbeat came within the grace after that was noticed, and one was due.';
comment on column recovery.evidence.pending is
    'It was to end with this reason, and a transaction that holds its row held that up.';
comment on column recovery.evidence.process_dead is 'A sweeper on its own host found the process dead.';
comment on column recovery.evidence.drain_expired is 'It drained, and the limit is over.';
comment on column recovery.evidence.quiet is
    'Silent: evidence that a failure of the database or of the sweepers would produce as well.';
comment on column recovery.evidence.late_since is 'Its next beat should have come by then.';
comment on column recovery.evidence.sure_since is
    'A sweep after that is a second look, which convicts if it still finds the same heartbeat; null: there was no '
    'first one.';
comment on column recovery.evidence.at is 'The clock of this look.';
