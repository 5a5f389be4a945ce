create or replace function recovery._group_tree(p_family text, p_groups text[], p_upward boolean)
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_head   recovery.watch;
    v_task   recovery.task;
    v_groups jsonb;
begin
    select w.* into v_head from recovery._attached_watches() as w where w.family = p_family and w.parent is not null;
    if not found or p_groups is null then
        return p_groups;
    end if;
    v_task.keys := p_groups;
    v_task.max_rows := p_upward::integer;
    select t.* into v_groups from recovery._run_as_owner(v_head.runner, recovery._render_sql($sql$
        with recursive
        up (g) as (
            select unnest(($1).keys::{type}[])
            union
            select {parent} from up join {relation} as r on {group} = up.g where ($1).max_rows = 1
                and {parent} is not null
        ),
        down (g, depth) as (
            select up.g, 0 from up
            where not exists (select from {relation} as r where {group} = up.g
                and {parent} in (select u.g from up as u))
            union
            select {group}, down.depth + 1 from down join {relation} as r on {parent} = down.g where down.depth < 100
        ),
        every (g, depth) as (
            select x.g, max(x.depth)
            from (select down.g, down.depth from down union all select up.g, 0 from up) as x
            group by x.g
        )
        select to_jsonb(array_agg(g order by depth desc, g)::text[]) from every
        $sql$, jsonb_build_object(
        'relation', v_head.relation,
        'parent', v_head.parent,
        'group', v_head.group_by,
        'type', v_head.group_type)), v_task) as t;
    return recovery._to_texts(v_groups);
end
$$;

comment on function recovery._group_tree(text, text[], boolean) is
    'Groups with all their descendants, and with p_upward their ancestors too, deepest first; as they are where a '
    'family has no parent expression. Cycles end at depth 100.';

revoke all on function recovery._group_tree(text, text[], boolean) from public;
