create or replace function recovery._untrusted_object(p_class oid, p_object oid, p_privileged boolean)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_class
        when 'pg_type'::regclass then (
            -- Reading a literal of such a type may run the CHECK of a domain in it.
            select format('type %s', format_type(t.oid, null))
            from pg_type as t left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
            where t.oid = p_object and t.oid >= 16384
              and (t.typtype in ('c', 'r', 'm') or e.typtype in ('c', 'd', 'r', 'm')
                   or p_privileged and not exists (
                       select from pg_roles as o where o.oid = t.typowner
                           and (o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')))))
        when 'pg_proc'::regclass then (
            select format('function %s, which belongs to %s', p.oid::regprocedure, p.proowner::regrole)
            from pg_proc as p join pg_roles as o on o.oid = p.proowner
            where p.oid = p_object and p_privileged
                and not (o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')))
        when 'pg_operator'::regclass then (
            select recovery._untrusted_object('pg_proc'::regclass, o.oprcode, p_privileged) from pg_operator as o
                where o.oid = p_object)
        end
$$;

comment on function recovery._untrusted_object(oid, oid, boolean) is
    'What is wrong with an object (of pg_type, pg_proc, pg_operator) in an expression of an index or trigger: it '
    'would run code when it is read, or, in a table of a superuser, code of somebody else. Null: nothing.';

revoke all on function recovery._untrusted_object(oid, oid, boolean) from public;
