create or replace function recovery.next_groups(
    p_family text, p_epoch bigint, p_after text, p_limit integer, out o_groups text[], out o_last text
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_type  text;
    v_sql   text := '';
    v_head  recovery.watch;
begin
    -- Each watch offers the groups of its next rows. The smallest of their last ones bounds the batch,
    -- so that no group is passed over that another watch has not reached yet.
    for v_watch in select w.* from recovery.watch as w where w.family = p_family loop
        v_type := v_watch.group_type;
        v_sql := v_sql || case when v_sql = '' then '' else ' union all ' end || format(
            'select max(s.g) over () as top, count(*) over () as n, s.g from (select %1$s as g from %2$s as r where %3$s and ($2 is null or %1$s > $2::%4$s) order by %1$s limit $3) as s',
            v_watch.group_by, v_watch.relation, recovery.scope_sql(v_watch, p_epoch is not null), v_type);
        if v_watch.parent is not null then
            v_head := v_watch;
        end if;
    end loop;
    execute format(
        'with s as materialized (%s), b as (select min(top) as bound from s where n >= $3)
         select array_agg(distinct s.g)::text[], max(s.g)::text from s, b where b.bound is null or s.g <= b.bound', v_sql)
    into o_groups, o_last using p_epoch, p_after, p_limit;
    if o_groups is null or v_head.id is null then
        return;
    end if;
    -- Whole trees close together, deepest first: the batch takes in ancestors and descendants.
    execute format($sql$
        with recursive
        up (g) as (
            select unnest($1::%3$s[])
            union
            select %2$s from up join %1$s as r on %4$s = up.g where %2$s is not null
        ),
        down (g, depth) as (
            select up.g, 0 from up
            where not exists (select from %1$s as r where %4$s = up.g and %2$s in (select u.g from up as u))
            union
            select %4$s, down.depth + 1 from down join %1$s as r on %2$s = down.g where down.depth < 100
        ),
        every (g, depth) as (
            select g, max(depth) from (select g, depth from down union all select g, 0 from up) as x group by g
        )
        select array_agg(g order by depth desc, g)::text[] from every
        $sql$, v_head.relation, v_head.parent, v_type, v_head.group_by)
    into o_groups using o_groups;
end
$$;

comment on function recovery.next_groups(text, bigint, text, integer) is
    'The next groups of a family in which an epoch has orphans, about p_limit rows in all, with their whole trees, deepest first.';

revoke all on function recovery.next_groups(text, bigint, text, integer) from public;
