create or replace function recovery._is_native(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(bool_and(case u.use ->> 0
               when 'system' then u.use ->> 3 = recovery._present_name('system', 0, 0)
               else (u.use ->> 1)::oid = p_watch.relation end), false)
    from jsonb_array_elements(p_watch.uses) as u (use)
    where u.use ->> 0 = 'system'
       or u.use ->> 0 = 'column' and (u.use ->> 1)::oid = (
           select (o.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as o (use)
           where o.use ->> 0 = 'column' and o.use ->> 3 = p_watch.key_columns[1]
           order by (o.use ->> 1)::oid <> p_watch.relation limit 1)
$$;

comment on function recovery._is_native(recovery.watch) is
    'Whether a watch was compiled here, and not in the database from which this one was restored.';

revoke all on function recovery._is_native(recovery.watch) from public;
