create or replace function recovery._group_activity_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select r.server_epoch as owner, greatest(({started}), {activity}, t.at) as moved, {hold} as held
        from {relation} as r
        left join lateral (
            select t.at from recovery.own_touch as t
            where t.family = {family!l} and t.scope = 'row' and t.watch = {watch!l}
                and t.key = {key} offset 0) as t on true
        where ({group}) = ($1).key::{type} and ({open}) and ({meant})
          and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
        $sql$, jsonb_build_object(
        'started', p_watch.started,
        'activity', coalesce('(' || p_watch.activity || ')', 'null'),
        'hold', coalesce('(' || p_watch.hold || ') is true', 'false'),
        'relation', p_watch.relation,
        'family', p_watch.family,
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', p_watch.group_by,
        'type', p_watch.group_type,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true')))
$$;

comment on function recovery._group_activity_sql(recovery.watch) is
    'The open rows of a watch in the group of the task: owner, when they last moved, whether they are on hold.';

revoke all on function recovery._group_activity_sql(recovery.watch) from public;
