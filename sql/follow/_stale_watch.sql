create or replace function recovery._stale_watch(p_watch recovery.watch)
returns recovery.watch
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_value constant text := 'recovery._stale_value(' || p_watch.id || ', %L, r.*)';
begin
    v_watch.open := format(v_value, 'open') || '::boolean';
    v_watch.image := format(v_value, 'image') || '::jsonb';
    if v_watch.group_by is not null then
        v_watch.group_by := format(v_value, 'group');
    end if;
    if v_watch.owner is not null then
        v_watch.owner := format(v_value, 'owner');
    end if;
    v_watch.key_columns := null;
    return v_watch;
end
$$;

comment on function recovery._stale_watch(recovery.watch) is
    'A watch whose expressions ask recovery._stale_value: what its trigger functions do while a name that they have in '
    'them has changed and recovery._follow_watch has not come yet.';

revoke all on function recovery._stale_watch(recovery.watch) from public;
