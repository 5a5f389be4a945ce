create or replace function recovery._rows_of_batch_sql(
    p_watch recovery.watch, p_selection text, p_owner text, p_guard text
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select jsonb_build_array({parts}, {key})
        from {relation} as r
        where {closable} and {in_batch} and {not_failing}
        order by {order}{limit}
        $sql$, jsonb_build_object(
        'parts', recovery._key_sql(p_watch, 'parts'),
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'relation', p_watch.relation,
        'closable', recovery._closable_sql(p_watch, p_owner, p_guard, false),
        'in_batch', recovery._key_sql(p_watch, case p_selection when 'range' then 'between' else p_selection end),
        'not_failing', recovery._not_failing_sql(p_watch),
        'order', case when p_selection <> 'groups' then recovery._key_sql(p_watch, 'columns')
            -- A map: a search through the groups for every row would be their product.
            else format(
                '((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))'
                ' -> (%s)::text)::bigint, %s',
                p_watch.group_by, coalesce(p_watch.order_by, recovery._key_sql(p_watch, 'columns'))) end,
        'limit', case p_selection when 'loose' then ' limit ($1).max_rows' else '' end))
$$;

comment on function recovery._rows_of_batch_sql(recovery.watch, text, text, text) is
    'The search for the rows of a batch, in the order in which they are closed one by one: [parts of the key, key].';

revoke all on function recovery._rows_of_batch_sql(recovery.watch, text, text, text) from public;
