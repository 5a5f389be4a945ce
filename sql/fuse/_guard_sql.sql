create or replace function recovery._guard_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        (exists (
                  select from recovery.own_fuse as f
                  where f.family = {family!l} and f.scope = 'row' and f.watch = {watch!l} and f.key = {key})
        {or_group})
        $sql$, jsonb_build_object(
        'family', p_watch.family,
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'or_group', case when p_watch.group_by is null then '' else recovery._render_sql($sql$
               or exists (
                  select from recovery.own_fuse as f
                  where f.family = {family!l} and f.scope = 'group' and f.key = ({group})::text)
        $sql$, jsonb_build_object('family', p_watch.family, 'group', p_watch.group_by)) end))
$$;

comment on function recovery._guard_sql(recovery.watch) is
    'The condition for a guarded row: an active fuse on it or on its group, with a process that is not known dead.';

revoke all on function recovery._guard_sql(recovery.watch) from public;
