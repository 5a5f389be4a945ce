create or replace function recovery._due_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
/* Rows of one watch whose clock may have run out: the partial index on `started` finds those that began
   longer ago than the least timeout that is set; only for them the other expressions are asked.

   $1 is a recovery.task: at, since (before that no clock runs), span (the least timeout).

   Hold and child stand in the outermost list, so that they are evaluated last.                    */
declare
    v_tool  record;
    v_task  record;
    v_wall  record;
    v_key   text := recovery._key_text(p_watch.key_columns, 'r');
    v_group text := coalesce('(' || p_watch.group_by || ')::text', 'null::text');
begin
    select * into v_tool from recovery._timeout_sql(p_watch, 'tool_timeout');
    select * into v_task from recovery._timeout_sql(p_watch, 'task_timeout');
    select * into v_wall from recovery._timeout_sql(p_watch, 'wall_timeout');
    return format($sql$
        select to_jsonb(z) from (
        select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
        from (
            select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
                   %s as tool, %s as task, %s as wall
            from (
                select %s as key, %s as grp, r.server_epoch as owner, %s as kind, (%s) as started,
                       greatest((%s), %s, t.at, g.at, ($1).since) as moved, t.child_at,
                       %s as own, %s as held, %s as child
                from %s as r
                left join lateral (
                    select t.at, t.child_at from recovery.own_touch as t
                    where t.family = %L and t.scope = 'row' and t.watch = %L and t.key = %s offset 0) as t on true
                left join lateral (
                    select max(g.at) as at from recovery.own_touch as g
                    where g.family = %L and g.scope = 'group' and g.key = %s offset 0) as g on true
                where (%s) and (%s)%s
            ) as x
        ) as y
        where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
        order by y.started) as z
        $sql$,
        case when p_watch.supervised is null then 'null::interval'
             else format('coalesce(x.own, %s)', coalesce(case when p_watch.kind is not null then format('case when x.kind is not null then %s end', coalesce(v_tool.o_text, 'null::interval')) else v_tool.o_text end, 'null::interval')) end,
        case when p_watch.child is null or v_task.o_text is null then 'null::interval' else v_task.o_text end,
        coalesce(v_wall.o_text, 'null::interval'),
        v_key, v_group, coalesce('(' || p_watch.kind || ')::text', 'null::text'), p_watch.started,
        p_watch.started, coalesce('(' || p_watch.activity || ')', 'null'),
        coalesce('(' || p_watch.timeout || ')', 'null::interval'),
        coalesce('(' || p_watch.hold || ') is true', 'false'),
        coalesce('(' || p_watch.child || ')::text', 'null::text'),
        p_watch.relation, p_watch.family, p_watch.name, v_key, p_watch.family, v_group,
        p_watch.open, coalesce(p_watch.only_if, 'true'),
        -- A row's own timeout cannot be bounded before.
        case when p_watch.timeout is null then format(' and (%s) < ($1).at - ($1).span', p_watch.started) else '' end);
end
$function$;

comment on function recovery._due_sql(recovery.watch) is
    'The search for rows of a watch whose timeout may have run out.';

revoke all on function recovery._due_sql(recovery.watch) from public;
