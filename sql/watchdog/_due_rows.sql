create or replace function recovery._due_rows(p_watch recovery.watch, p_now timestamptz, p_since timestamptz)
returns table (family text, scope text, watch text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_about recovery.task;
    v_least interval;
    v_some  boolean := true;
    v_ours  boolean := not recovery._is_replicated(p_watch.family);
    v_row   record;
    v_task  boolean;
    v_wall  boolean;
begin
    select min(nullif(s.value, 'off')::interval) into v_least from recovery.setting as s
    where s.watch in ('', p_watch.name)
      and (s.name = 'wall_timeout' or s.name in ('tool_timeout', 'task_timeout') and p_watch.supervised is not null);
    if p_watch.started is null or v_least is null and p_watch.timeout is null then
        return;
    end if;
    v_about.at := p_now;
    v_about.since := p_since;
    v_about.span := v_least;
    -- Usually nothing is that old, and this is all that is asked.
    if p_watch.timeout is null then
        select e.* into v_some from recovery._run_as_owner(p_watch.runner, recovery._render_sql(
            'select to_jsonb(exists (select from {relation} as r where ({open}) and ({started}) < ($1).at - '
            '($1).span))',
            jsonb_build_object('relation', p_watch.relation, 'open', p_watch.open, 'started', p_watch.started)),
            v_about) as e;
    end if;
    if not v_some then
        return;
    end if;
    for v_row in
        select d.* from recovery._run_as_owner(p_watch.runner, recovery._due_sql(p_watch), v_about) as j
        cross join lateral jsonb_to_record(j) as d (key text, grp text, owner bigint, kind text, started timestamptz,
            moved timestamptz,
            child_at timestamptz, tool interval, task interval, wall interval, held boolean, child text)
    loop
        continue when v_row.held or not (v_ours or recovery._issued_here(v_row.owner));
        -- Work that moves for ever has a cap of its own, whatever it waits for; not at once after a break in watching.
        v_wall := coalesce(v_row.started + v_row.wall < p_now
            and p_since + least(v_row.wall, interval '1 minute') < p_now, false);
        v_task := v_row.child is not null or v_row.child_at is not null;
        if v_row.child is not null and not v_wall
            and recovery._is_group_open(p_watch.family, recovery._group_tree(p_watch.family, array[v_row.child], false))
        then
            insert into recovery.touch as t (family, scope, watch, key, child_at)
            values (p_watch.family, 'row', p_watch.name, v_row.key, p_now)
            on conflict (family, scope, key, watch) do update set child_at = excluded.child_at;
            continue;
        end if;
        family := p_watch.family;
        watch := p_watch.name;
        -- A row without a group stands for itself.
        scope := case when v_row.grp is null then 'row' else p_watch.cancel end;
        key := case scope when 'group' then v_row.grp else v_row.key end;
        continue when not v_ours and scope = 'group' and recovery._lives_elsewhere((family, scope, watch, key));
        if v_wall then
            reason := 'wall_timeout';
        elsif not v_task and v_row.moved + v_row.tool < p_now then
            reason := 'tool_timeout';
        elsif v_task and v_row.moved + v_row.task < p_now
            and coalesce(v_row.child_at + recovery.get_setting('propagation_grace', p_watch.name, v_row.kind,
                v_row.grp)::interval < p_now, true) then
            reason := 'task_timeout';
        else
            continue;
        end if;
        owner := v_row.owner;
        detail := jsonb_strip_nulls(jsonb_build_object('row', v_row.key, 'kind', v_row.kind,
            'limit', case reason when 'wall_timeout' then v_row.wall when 'tool_timeout' then v_row.tool
                else v_row.task end,
            'since', case reason when 'wall_timeout' then v_row.started else v_row.moved end,
            'child', v_row.child));
        return next;
    end loop;
end
$$;

comment on function recovery._due_rows(recovery.watch, timestamptz, timestamptz) is
    'Rows of a watch past tool_timeout, task_timeout or wall_timeout: leaves only, nothing that is on hold or lives '
    'at a publisher; and the unit that is to be cancelled.';

revoke all on function recovery._due_rows(recovery.watch, timestamptz, timestamptz) from public;
