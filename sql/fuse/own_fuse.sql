-- For runners, and so by current_user. A barrier: an expression of the host must not see the rows that it filters out.
create or replace view recovery.own_fuse with (security_barrier) as
select f.family, f.scope, f.watch, f.key
from recovery.fuse_state as f
where f.guards and f.family in (
    select w.family from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);

comment on view recovery.own_fuse is 'The units of a runner''s watches that an active fuse guards.';
comment on column recovery.own_fuse.family is 'Family of the watch.';
comment on column recovery.own_fuse.scope is 'row or group.';
comment on column recovery.own_fuse.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.own_fuse.key is 'Key of the row, or of the group.';
