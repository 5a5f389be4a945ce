create or replace function recovery._look_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The expression is evaluated once a row, and only for open ones: OFFSET keeps it from being pulled up.
    select recovery._render_sql($sql$
        select jsonb_build_object(
            'alive', count(*) filter (where a.alive),
            'dead', coalesce(jsonb_agg(jsonb_build_object('key', {key}, 'group_key', {group}, 'run', {run}))
                filter (where not a.alive), '[]'))
        from {relation} as r
        cross join lateral (select ({alive}) as alive offset 0) as a
        where ({open}){meant}{grace}
        $sql$, jsonb_build_object(
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'run', format('concat_ws(%L, r.server_epoch, %s, (%s)::text)', ' ',
            coalesce('date_part(''epoch'', (' || p_watch.started || '))', 'null'), coalesce(p_watch.owner, 'null')),
        'relation', p_watch.relation,
        'alive', p_watch.alive,
        'open', p_watch.open,
        'meant', coalesce(' and (' || p_watch.only_if || ')', ''),
        'grace', case when p_watch.launch_grace is null then ''
            else format(' and ((%s) >= ($1).at - %L::interval) is not true', p_watch.started, p_watch.launch_grace)
            end))
$$;

comment on function recovery._look_sql(recovery.watch) is
    'The search for the open rows of a watch for which alive is false, with how many it is true for.';

revoke all on function recovery._look_sql(recovery.watch) from public;
