create or replace function recovery.idle_groups(p_family text, p_now timestamptz, p_since timestamptz)
returns table (watch text, scope text, key text, owner bigint, reason text, detail jsonb)
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
    v_find   text := '';
    v_look   text := '';
    v_epochs bigint[];
    v_group  text;
    v_parent text;
    v_seen   record;
begin
    for v_watch in select w.* from recovery.attached() as w where w.family = p_family and w.group_by is not null order by w.position loop
        if v_watch.parent is not null then
            v_head := v_watch;
        end if;
        v_least := least(v_least, (recovery.limit_sql(v_watch, 'idle_timeout')).o_least);
        continue when v_watch.started is null;
        v_find := v_find || case when v_find = '' then '' else ' union ' end || format(
            'select (%s)::text as g from %s as r where (%s) < $1 - $3 and (%s) and (%s)',
            v_watch.group_by, v_watch.relation, v_watch.started, v_watch.open, coalesce(v_watch.only_if, 'true'));
        v_look := v_look || case when v_look = '' then '' else ' union all ' end || format(
            $sql$select r.server_epoch as owner, greatest((%s), %s, t.at) as moved, %s as held from %s as r
            left join recovery.touch as t on t.family = %L and t.scope = 'row' and t.watch = %L and t.key = %s
            where (%s) = $4::%s and (%s) and (%s) and (r.server_epoch = any($5) or r.server_epoch is null)$sql$,
            v_watch.started, coalesce('(' || v_watch.activity || ')', 'null'), coalesce('(' || v_watch.hold || ') is true', 'false'),
            v_watch.relation, p_family, v_watch.name, recovery.key_text(v_watch.key_columns, 'r'),
            v_watch.group_by, v_watch.group_type, v_watch.open, coalesce(v_watch.only_if, 'true'));
    end loop;
    if v_least is null or v_find = '' then
        return;
    end if;
    select array_agg(distinct e.epoch) into v_epochs
    from recovery.attached() as w cross join lateral unnest(recovery.open_epochs(w.name)) as e (epoch) where w.family = p_family;
    for v_group in execute v_find using p_now, p_since, v_least loop
        continue when v_group is null;
        execute format(
            $sql$select max(l.owner) as owner, greatest(max(l.moved), max(t.at), $2) as moved, bool_or(l.held) as held
            from (%s) as l left join recovery.touch as t on t.family = %L and t.scope = 'group' and t.watch = '' and t.key = $4$sql$, v_look, p_family)
        into v_seen using p_now, p_since, v_least, v_group, v_epochs;
        select min(nullif(recovery.setting_of('idle_timeout', w.name, null, v_group), 'off')::interval) into v_limit
        from recovery.attached() as w where w.family = p_family;
        continue when v_seen.held or v_limit is null or v_seen.moved is null or v_seen.moved + v_limit >= p_now;
        v_parent := null;
        if v_head.id is not null then
            execute format('select (%s)::text from %s as r where (%s) = $1::%s', v_head.parent, v_head.relation, v_head.group_by, v_head.group_type)
            into v_parent using v_group;
        end if;
        continue when v_parent is null and coalesce(recovery.setting_of('idle_roots', null, null, v_group), 'false') <> 'true';
        -- Waiting for a subagent is not idling.
        continue when recovery.is_open(p_family, array_remove(recovery.tree(p_family, array[v_group], false), v_group));
        watch := coalesce(v_head.name, v_watch.name);
        if watch is null then
            select min(w.name) into watch from recovery.attached() as w where w.family = p_family;
        end if;
        scope := 'group';
        key := v_group;
        owner := v_seen.owner;
        reason := 'idle_timeout';
        detail := jsonb_strip_nulls(jsonb_build_object('limit', v_limit, 'since', v_seen.moved));
        return next;
    end loop;
end
$$;

comment on function recovery.idle_groups(text, timestamptz, timestamptz) is
    'Groups (sessions) of a family with open work and no activity for idle_timeout: child groups, roots only with idle_roots; none that waits for a human or for a subagent.';

revoke all on function recovery.idle_groups(text, timestamptz, timestamptz) from public;
