create or replace function recovery._is_named_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        exists (
                  select from recovery.server as s
                  where s.name = ({owner}) and s.ended is null and s.pending is null)
        $sql$, jsonb_build_object('owner', p_watch.owner))
$$;

comment on function recovery._is_named_sql(recovery.watch) is
    'The condition for a row without an owner that names a live server: it is to be adopted, not closed.';

revoke all on function recovery._is_named_sql(recovery.watch) from public;
