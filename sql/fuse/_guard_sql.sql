create or replace function recovery._guard_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format($sql$(exists (
        select from recovery.own_fuse as f
        where f.family = %1$L and f.scope = 'row' and f.watch = %2$L and f.key = %3$s)%4$s)$sql$,
        p_watch.family, p_watch.name, recovery._key_text(p_watch.key_columns, 'r'),
        case when p_watch.group_by is null then '' else format($sql$ or exists (
        select from recovery.own_fuse as f
        where f.family = %1$L and f.scope = 'group' and f.key = (%2$s)::text)$sql$,
        p_watch.family, p_watch.group_by) end)
$$;

comment on function recovery._guard_sql(recovery.watch) is
    'The condition for a guarded row: an active fuse on it or on its group, with a process that is not known dead.';

revoke all on function recovery._guard_sql(recovery.watch) from public;
