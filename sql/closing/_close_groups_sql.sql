create or replace function recovery._close_groups_sql(
    p_head recovery.watch, p_open text[], out o_ctes text, out o_event text
)
returns record
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* For a family whose groups have events of their own:

   k  rows closed, by group
   o  rows open, by group. A group of which nothing stays open is idle. */
begin
    o_ctes := recovery._render_sql($sql$
        k as (
            select c.grp, min(c.owner) as owner, count(*) as n
            from ({closed}) as c
            group by c.grp
        ),
        o as (
            select jsonb_object_agg(c.grp, c.n) as n
            from (
                select c.grp, sum(c.n) as n
                from (
        {open}
                ) as c
                group by c.grp
            ) as c
        ),
        $sql$, jsonb_build_object(
        'closed', (
            select string_agg(format('select u.owner, u.grp from u%s as u', n), ' union all ' order by n)
            from generate_series(1, cardinality(p_open)) as n),
        'open', array_to_string(p_open, E'\n            union all\n')));
    o_event := recovery._render_sql($sql$
                select 1000000, {watch!l}, t.kind, t.topic, k.owner, k.grp, k.grp,
                       null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
                from k
                cross join lateral (
                    select 'failed' as kind, f.topic, f.n
                    from unnest({failed!l}::text[]) with ordinality as f (topic, n)
                    union all
                    select 'idle', i.topic, 1000 + i.n
                    from unnest({idle!l}::text[]) with ordinality as i (topic, n)
                    where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
        $sql$,
        jsonb_build_object(
            'watch', p_head.name, 'failed', p_head.failed_topics::text, 'idle', p_head.idle_topics::text));
end
$$;

comment on function recovery._close_groups_sql(recovery.watch, text[]) is
    'The parts of the statement that closes which count the rows of each group (for each watch of the family, how many '
    'are open is given) and list the events of the groups.';

revoke all on function recovery._close_groups_sql(recovery.watch, text[]) from public;
