-- Judged as of the last look and not as of now: if the machine sleeps between the two, nobody has watched.
create or replace view recovery.lifeless_state as
select
    l.watch, l.key, l.group_key, l.since, l.retry_at,
    u.until < k.at as dead,
    case when not u.until < k.at then u.until end as held_until,
    case when not u.until < k.at then
        case when k.mass_since > greatest(k.since, l.since) then 'most rows look dead at once'
             when k.since >= l.since then k.because
             else 'it was not seen dead for long enough' end end as held_because
from recovery.lifeless as l
join recovery.look as k on k.watch = l.watch
join recovery.watch as w on w.name = l.watch
cross join lateral (select greatest(l.since, k.since, k.mass_since) + w.alive_lease as until) as u;

comment on view recovery.lifeless_state is 'Which rows are dead by the evidence of the host''s own tables.';
comment on column recovery.lifeless_state.watch is 'Name of the watch.';
comment on column recovery.lifeless_state.key is 'Key of the row, as in recovery.event.';
comment on column recovery.lifeless_state.group_key is 'Its group.';
comment on column recovery.lifeless_state.since is 'Found so since then.';
comment on column recovery.lifeless_state.retry_at is 'Not tried again before.';
comment on column recovery.lifeless_state.dead is
    'It was found so for alive_lease without a break: the sweep closes it.';
comment on column recovery.lifeless_state.held_until is 'It looks dead, but is not closed before then.';
comment on column recovery.lifeless_state.held_because is 'Why that is held back.';
