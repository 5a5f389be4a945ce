create or replace function recovery._same_definitions(p_before recovery.watch, p_after recovery.watch)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._index_sql(p_before, 'open') = recovery._index_sql(p_after, 'open')
       and (p_after.supervised is null
            or recovery._index_sql(p_before, 'started') is not distinct from recovery._index_sql(p_after, 'started'))
       and not exists (
            (select t.name, t.statement from recovery._trigger_definitions(p_before) as t
             except select t.name, t.statement from recovery._trigger_definitions(p_after) as t)
            union all
            (select t.name, t.statement from recovery._trigger_definitions(p_after) as t
             except select t.name, t.statement from recovery._trigger_definitions(p_before) as t))
$$;

comment on function recovery._same_definitions(recovery.watch, recovery.watch) is
    'Whether index and triggers of a table stay as they are when its watch changes, so that the table need not be '
    'locked: what the trigger functions do is replaced without that.';

revoke all on function recovery._same_definitions(recovery.watch, recovery.watch) from public;
