create or replace view recovery.own_touch with (security_barrier) as
select t.family, t.scope, t.watch, t.key, t.at, t.child_at
from recovery.touch as t
where t.family in (
    select w.family from recovery.watch as w join recovery.runner as r on r.id = w.runner where r.role = current_user);

comment on view recovery.own_touch is 'Signs of life of a runner''s watches.';
comment on column recovery.own_touch.family is 'Family of the watch.';
comment on column recovery.own_touch.scope is 'row or group.';
comment on column recovery.own_touch.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.own_touch.key is 'Key of the row, or of the group.';
comment on column recovery.own_touch.at is 'Last touch.';
comment on column recovery.own_touch.child_at is 'When the child group of the row last had open work.';
