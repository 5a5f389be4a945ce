create or replace function recovery._old_groups_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        select ({group})::text as g
        from {relation} as r
        where ({started}) < ($1).at - ($1).span and ({open}) and ({meant})
        $sql$, jsonb_build_object(
        'group', p_watch.group_by,
        'relation', p_watch.relation,
        'started', p_watch.started,
        'open', p_watch.open,
        'meant', coalesce(p_watch.only_if, 'true')))
$$;

comment on function recovery._old_groups_sql(recovery.watch) is
    'The search for groups with work of a watch that began longer ago than the least timeout.';

revoke all on function recovery._old_groups_sql(recovery.watch) from public;
