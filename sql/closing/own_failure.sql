create or replace view recovery.own_failure with (security_barrier) as
select f.watch, f.key, f.next_at
from recovery.failure as f
where f.watch in (
    select w.name from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);

comment on view recovery.own_failure is 'The rows of a runner''s watches that could not be closed.';
comment on column recovery.own_failure.watch is 'Name of the watch.';
comment on column recovery.own_failure.key is 'Key of the row, as in recovery.event.';
comment on column recovery.own_failure.next_at is 'Not tried again before.';
