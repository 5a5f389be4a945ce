create or replace function recovery._idle_groups(p_family text, p_now timestamptz, p_since timestamptz)
returns table (family text, scope text, watch text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_watch  recovery.watch;
    v_head   recovery.watch;
    v_limit  interval;
    v_least  interval;
    v_find   text[];
    v_look   text[];
    v_task   recovery.task;
    v_runner integer;
    v_group  text;
    v_parent text;
    v_seen   record;
    v_name   text;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_family and w.group_by is not null order by w.position
    loop
        v_runner := v_watch.runner;
        if v_watch.parent is not null then
            v_head := v_watch;
        end if;
        v_least := least(v_least, (recovery._timeout_sql(v_watch, 'idle_timeout')).o_least);
        continue when v_watch.started is null;
        v_find := v_find || recovery._old_groups_sql(v_watch);
        v_look := v_look || recovery._group_activity_sql(v_watch);
    end loop;
    if v_least is null or v_find is null then
        return;
    end if;
    v_name := coalesce(v_head.name, (
        select min(w.name) from recovery._attached_watches() as w where w.family = p_family));
    v_task.at := p_now;
    v_task.since := p_since;
    v_task.span := v_least;
    select array_agg(distinct e.epoch) into v_task.epochs
    from recovery._attached_watches() as w cross join lateral unnest(recovery._open_epochs(w.name)) as e (epoch)
    where w.family = p_family;
    for v_group in
        select f.g #>> '{}'
        from recovery._run_as_owner(v_runner, format('select to_jsonb(f.g) from (%s) as f where f.g is not null',
            array_to_string(v_find, E'\nunion\n')), v_task) as f (g)
    loop
        v_task.key := v_group;
        select s.* into v_seen
        from recovery._run_as_owner(v_runner, recovery._render_sql($sql$
            select jsonb_build_object(
                'owner', max(l.owner), 'moved', greatest(max(l.moved), max(t.at), ($1).since), 'held', bool_or(l.held))
            from (
                {look}
            ) as l
            left join recovery.own_touch as t
              on t.family = {family!l} and t.scope = 'group' and t.key = ($1).key
            $sql$,
            jsonb_build_object('look', array_to_string(v_look, E'\nunion all\n'), 'family', p_family)), v_task) as j
        cross join lateral jsonb_to_record(j) as s (owner bigint, moved timestamptz, held boolean);
        select min(nullif(recovery.get_setting('idle_timeout', w.name, null, v_group), 'off')::interval) into v_limit
        from recovery._attached_watches() as w where w.family = p_family;
        continue when v_seen.held or v_limit is null or v_seen.moved is null or v_seen.moved + v_limit >= p_now;
        continue when recovery._lives_elsewhere((p_family, 'group', v_name, v_group));
        v_parent := null;
        if v_head.id is not null then
            select p.g #>> '{}' into v_parent from recovery._run_as_owner(v_runner, recovery._render_sql(
                'select to_jsonb(({parent})::text) from {relation} as r where ({group}) = ($1).key::{type}',
                jsonb_build_object('parent', v_head.parent, 'relation', v_head.relation,
                                   'group', v_head.group_by, 'type', v_head.group_type)), v_task) as p (g);
        end if;
        continue when v_parent is null
            and coalesce(recovery.get_setting('idle_roots', null, null, v_group), 'false') <> 'true';
        -- Waiting for a subagent is not idling.
        continue when recovery._is_group_open(
            p_family, array_remove(recovery._group_tree(p_family, array[v_group], false), v_group));
        family := p_family;
        scope := 'group';
        watch := v_name;
        key := v_group;
        owner := v_seen.owner;
        reason := 'idle_timeout';
        detail := jsonb_strip_nulls(jsonb_build_object('limit', v_limit, 'since', v_seen.moved));
        return next;
    end loop;
end
$$;

comment on function recovery._idle_groups(text, timestamptz, timestamptz) is
    'Groups (sessions) of a family with open work and no activity for idle_timeout: child groups, roots only with '
    'idle_roots; none that waits for a human or for a subagent, or lives at a publisher.';

revoke all on function recovery._idle_groups(text, timestamptz, timestamptz) from public;
