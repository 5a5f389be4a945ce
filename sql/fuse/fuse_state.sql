-- Judged as of the last sweep and not as of now, and never by a time in which nobody watched or the database answered
-- nobody: see recovery.judgement. Before the first sweep there is nothing but the clock. The subqueries are no joins,
-- so that FOR UPDATE means the fuse alone.
create or replace view recovery.fuse_state as
select
    f.id, f.family, f.scope, f.watch, f.key, f.host, f.pid, f.lit, f.expires, f.process_dead, f.retry_at,
    w.burns,
    w.burns and f.pid is not null and f.process_dead is null as guards,
    w.burnt,
    w.spent
from recovery.fuse as f
cross join lateral (
    select (select case when o.because is distinct from 'first sweep' then o.since end
        from recovery.observation as o) as since
) as d
cross join lateral (
    select f.looked_at is not null and coalesce(greatest(f.expires, greatest(d.since, f.looked_at) + f.ttl,
               f.process_seen + greatest(f.ttl, interval '15 seconds')) < (select o.swept
                   from recovery.observation as o), false) as burnt
) as b
cross join lateral (
    select b.burnt
        or f.expires < (select case when o.swept is null then recovery._now() end
            from recovery.observation as o) is true
        or coalesce(greatest(f.process_dead,
            case when f.process_dead is not null then d.since end) < (select recovery._now()) - interval '5 seconds',
            false) as spent
) as s
cross join lateral (
    select b.burnt, s.spent, not s.spent and recovery._problem_of(f.pid, f.process_start, f.expires) is null as burns
) as w;

comment on view recovery.fuse_state is 'What each fuse means at the moment.';
comment on column recovery.fuse_state.id is 'Number of the fuse.';
comment on column recovery.fuse_state.family is 'Family of the watch.';
comment on column recovery.fuse_state.scope is 'row or group.';
comment on column recovery.fuse_state.watch is 'Watch of the row; empty for a group.';
comment on column recovery.fuse_state.key is 'Key of the row, or of the group.';
comment on column recovery.fuse_state.host is 'Host of the process.';
comment on column recovery.fuse_state.pid is 'The process that does the work.';
comment on column recovery.fuse_state.lit is 'When it was lit.';
comment on column recovery.fuse_state.expires is 'Until then it burns in any case.';
comment on column recovery.fuse_state.retry_at is 'Not tried again before.';
comment on column recovery.fuse_state.process_dead is 'When a sweeper on its host found the process dead.';
comment on column recovery.fuse_state.burns is
    'Neither spent nor impossible: its unit is not closed for another fuse''s sake.';
comment on column recovery.fuse_state.guards is 'Burns, with a process that is not known dead. Its unit is kept.';
comment on column recovery.fuse_state.burnt is
    'A sweep found that it was not extended for its ttl of watching without a break, nor its process seen alive '
    'meanwhile: it cannot be extended any more.';
comment on column recovery.fuse_state.spent is
    'Burnt out, or its process died; a server that lives gets a moment to book how the process ended. Its unit is to '
    'be closed, unless another fuse burns there.';
