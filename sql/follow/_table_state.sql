create or replace function recovery._table_state(p_watch recovery.watch)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select md5(concat_ws(E'\n', c.relowner, c.relacl, n.nspacl, c.relrowsecurity, c.relforcerowsecurity, c.relkind,
        (select string_agg(concat_ws(' ', p.oid, p.polcmd, p.polroles, p.polpermissive), ',' order by p.oid)
         from pg_policy as p where p.polrelid = c.oid),
        (select string_agg(concat_ws(' ', k.oid, k.conbin), ',' order by k.oid)
         from pg_constraint as k where k.conrelid = c.oid),
        (select string_agg(concat_ws(' ', t.oid, t.tgenabled), ',' order by t.oid)
         from pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
           and t.tgname !~ '^(zz_)?recovery_[0-9]{2}_'),
        (select string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attacl), ','
                           order by a.attnum)
         from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           and a.attname <> 'server_epoch'),
        -- What else its expressions read and call.
        (select string_agg(concat_ws(' ', o.oid, o.relowner, o.relacl, o.relrowsecurity), ',' order by o.oid)
         from pg_class as o where o.oid in (
             select (u.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as u (use)
             where u.use ->> 0 = 'relation')),
        (select string_agg(concat_ws(' ', f.oid, f.proowner, f.proacl), ',' order by f.oid)
         from pg_proc as f where f.oid in (
             select (u.use ->> 1)::oid from jsonb_array_elements(p_watch.uses) as u (use)
             where u.use ->> 0 = 'function')),
        (select string_agg(concat_ws(' ', r.rolsuper, r.rolbypassrls), ',' order by r.oid) from pg_roles as r
         where r.oid = c.relowner or r.rolname = (
             select n.role from recovery.runner as n where n.id = p_watch.runner))))
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = p_watch.relation
$$;

comment on function recovery._table_state(recovery.watch) is
    'Prints what can keep a closing of a watch from working: owner, rights, row security, constraints, triggers, '
    'columns. When that has changed, the watch is rehearsed again.';

revoke all on function recovery._table_state(recovery.watch) from public;
