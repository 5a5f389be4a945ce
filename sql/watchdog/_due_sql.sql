create or replace function recovery._due_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Rows of one watch whose clock may have run out: the partial index on `started` finds those that began
   longer ago than the least timeout that is set; only for them the other expressions are asked.

   $1 is a recovery.task: at, since (before that no clock runs), span (the least timeout).

   Hold and child stand in the outermost list, so that they are evaluated last.                    */
declare
    v_tool  record;
    v_task  record;
    v_wall  record;
begin
    select * into v_tool from recovery._timeout_sql(p_watch, 'tool_timeout');
    select * into v_task from recovery._timeout_sql(p_watch, 'task_timeout');
    select * into v_wall from recovery._timeout_sql(p_watch, 'wall_timeout');
    return recovery._render_sql($sql$
        select to_jsonb(z) from (
        select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
        from (
            select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
                   {tool} as tool, {task} as task, {wall} as wall
            from (
                select {key} as key, {group} as grp, r.server_epoch as owner, {kind} as kind, ({started}) as started,
                       greatest(({started}), {activity}, t.at, g.at, ($1).since) as moved, t.child_at,
                       {own_timeout} as own, {hold} as held, {child} as child
                from {relation} as r
                left join lateral (
                    select t.at, t.child_at from recovery.own_touch as t
                    where t.family = {family!l} and t.scope = 'row' and t.watch = {watch!l} and t.key = {key}
                    offset 0) as t on true
                left join lateral (
                    select max(g.at) as at from recovery.own_touch as g
                    where g.family = {family!l} and g.scope = 'group' and g.key = {group}
                    offset 0) as g on true
                where ({open}) and ({meant}){old_enough}
            ) as x
        ) as y
        where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
        order by y.started) as z
        $sql$, jsonb_build_object(
        'tool', case when p_watch.supervised is null then 'null::interval' else format('coalesce(x.own, %s)',
            case when p_watch.kind is null then coalesce(v_tool.o_text, 'null::interval') else format(
                'case when x.kind is not null then %s end', coalesce(v_tool.o_text, 'null::interval')) end) end,
        'task', case when p_watch.child is null then 'null::interval'
            else coalesce(v_task.o_text, 'null::interval') end,
        'wall', coalesce(v_wall.o_text, 'null::interval'),
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'kind', coalesce('(' || p_watch.kind || ')::text', 'null::text'),
        'started', p_watch.started,
        'activity', coalesce('(' || p_watch.activity || ')', 'null'),
        'own_timeout', coalesce('(' || p_watch.timeout || ')', 'null::interval'),
        'hold', coalesce('(' || p_watch.hold || ') is true', 'false'),
        'child', coalesce('(' || p_watch.child || ')::text', 'null::text'),
        'relation', p_watch.relation,
        'family', p_watch.family,
        'watch', p_watch.name,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true'),
        -- A row's own timeout cannot be bounded before.
        'old_enough', case when p_watch.timeout is null
            then format(' and (%s) < ($1).at - ($1).span', p_watch.started) else '' end));
end
$$;

comment on function recovery._due_sql(recovery.watch) is
    'The search for rows of a watch whose timeout may have run out.';

revoke all on function recovery._due_sql(recovery.watch) from public;
