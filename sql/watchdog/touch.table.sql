create table recovery.touch (
    family   text        not null,
    scope    text        not null,
    watch    text        not null,
    key      text        not null,
    at       timestamptz,
    child_at timestamptz,
    constraint touch_pkey primary key (family, scope, key, watch),
    constraint touch_scope_check check (scope in ('row', 'group'))
) with (fillfactor = 50);

comment on table recovery.touch is
    'Signs of life that the watched rows themselves do not show: streaming text, silent commands. Written by '
    'recovery.touch; only the key is indexed, so that a touch stays HOT. A group has one for each watch through which '
    'it was touched: the latest counts.';
comment on column recovery.touch.family is 'Family of the watch.';
comment on column recovery.touch.scope is 'row or group.';
comment on column recovery.touch.watch is 'Watch of the row, or through which the group was named.';
comment on column recovery.touch.key is 'Key of the row, or of the group.';
comment on column recovery.touch.at is 'Last touch.';
comment on column recovery.touch.child_at is 'When a sweep last saw open work in the group that the row waits for.';
