create or replace function recovery._next_groups(
    p_family text, p_epoch bigint, p_guard text, p_after text, p_limit integer, out o_groups text[], out o_last text
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_found jsonb;
    v_some  text[];
begin
    -- Each watch offers the groups of its next rows. The smallest of their last ones bounds the batch,
    -- so that no group is passed over that another watch has not reached yet. By their order alone: not every type
    -- that has one has min and max (uuid).
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        v_some := v_some || recovery._render_sql($sql$
            select first_value(s.g) over (order by s.g desc) as top, count(*) over () as n, s.g
                from (
                    select {group} as g
                    from {relation} as r
                    where {closable} and {group} is not null and (($1).key is null or {group} > ($1).key::{type})
                    order by {group}
                    limit ($1).max_rows
                ) as s
            $sql$, jsonb_build_object(
            'group', v_watch.group_by,
            'relation', v_watch.relation,
            'closable', recovery._closable_sql(
                v_watch, case when p_epoch is null then 'none' else 'epoch' end, p_guard, false),
            'type', v_watch.group_type));
    end loop;
    v_task.epoch := p_epoch;
    v_task.key := p_after;
    v_task.max_rows := p_limit;
    v_task.at := recovery._now();
    select f.* into v_found from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        with s as materialized (
            {some}
        ),
        b as materialized (
            select (select s.top from s where s.n >= ($1).max_rows order by s.top limit 1) as bound)
        select jsonb_build_object(
            'groups', array_agg(distinct s.g)::text[], 'last', (array_agg(s.g order by s.g desc))[1]::text)
        from s, b where b.bound is null or s.g <= b.bound
        $sql$, jsonb_build_object(
        'some', array_to_string(v_some, ' union all '))), v_task) as f;
    o_groups := recovery._to_texts(v_found -> 'groups');
    o_last := v_found ->> 'last';
    -- Whole trees close together, deepest first: the batch takes in ancestors and descendants.
    o_groups := recovery._group_tree(p_family, o_groups, true);
end
$$;

comment on function recovery._next_groups(text, bigint, text, text, integer) is
    'The next groups of a family in which an epoch has orphans, about p_limit rows in all, with their whole trees, '
    'deepest first.';

revoke all on function recovery._next_groups(text, bigint, text, text, integer) from public;
