-- For runners, and so by current_user. A barrier: an expression of the host must not see the rows that it filters out.
create or replace view recovery.own_lifeless with (security_barrier) as
select l.watch, l.key
from recovery.lifeless_state as l
where l.dead and l.watch in (
    select w.name from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);

comment on view recovery.own_lifeless is 'The rows of a runner''s watches that are dead by the evidence of its tables.';
comment on column recovery.own_lifeless.watch is 'Name of the watch.';
comment on column recovery.own_lifeless.key is 'Key of the row, as in recovery.event.';
