-- Silence is judged as of the last observation, not as of now: if the machine sleeps between the two,
-- every lease looks lapsed by now, and nobody has watched.
create or replace view recovery.judgement as
select
    e.epoch,
    e.name,
    case when e.pending is not null then e.pending
         when e.process_dead then 'process_dead'
         when e.drain_expired then 'drain_expired'
         when e.connection_lost then 'connection_lost'
         when e.quiet then 'lease_expired' end as reason,
    h.certain or h.silent as dead,
    case when e.quiet and not h.certain and not h.silent then greatest(h.until, e.sure_since) end as held_until,
    case when e.quiet and not h.certain and not h.silent
         then case when coalesce(h.until < o.swept, false) then 'a second look is to find the same heartbeat'
                   when o.mass_since is not null and o.mass_since > o.since then 'most servers look dead at once'
                   else coalesce(o.because, 'no sweep yet') end end as held_because,
    case when not h.certain and not h.silent then h.sure_at end as sure_at
from recovery.evidence as e
cross join recovery.observation as o
cross join lateral (select w.until,
    case when e.sure_since is not null then greatest(w.until, e.sure_since) end as sure_at,
                           e.pending is not null or e.process_dead or e.drain_expired as certain,
                           coalesce(w.until < o.swept and e.sure_since < o.swept, false) as silent
                    from (select greatest(o.since, o.mass_since) + e.lease as until) as w) as h;

comment on view recovery.judgement is
    'The one place that says which server is dead, and why. Silence counts only after a full lease of watching '
    'without a break, and at a second look; a process found dead on its own host counts at once.';
comment on column recovery.judgement.epoch is 'A server that has not ended.';
comment on column recovery.judgement.name is 'Its name.';
comment on column recovery.judgement.reason is 'The reason with which it would end.';
comment on column recovery.judgement.dead is 'It is dead.';
comment on column recovery.judgement.held_until is 'It looks dead, but nobody is declared dead before then.';
comment on column recovery.judgement.held_because is 'Why that is held back.';
comment on column recovery.judgement.sure_at is
    'A sweep after that ends it, if there is no sign of life before; null: nothing speaks for its death yet, or it is '
    'dead.';
