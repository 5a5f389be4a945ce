create or replace function recovery._reclaim_table(p_table regclass, p_role name)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
    v_owner  oid := (select c.relowner from pg_class as c where c.oid = p_table);
    v_other  record;
    v_last   boolean;
begin
    v_last := not exists (
        select from recovery.watch as w join pg_class as c on c.oid = w.relation
        where c.relnamespace = v_schema and c.relowner = v_owner and c.oid <> p_table);
    for v_other in
        select c.oid::regclass as name, c.relkind from pg_class as c
        where c.relnamespace = v_schema and c.relowner = v_owner and (v_last or c.oid = p_table)
          and exists (select from aclexplode(c.relacl) as a
              where a.grantee = (select o.oid from pg_roles as o where o.rolname = p_role))
    loop
        execute format('revoke all on %s %s from %I', case v_other.relkind when 'S' then 'sequence' else 'table' end,
            v_other.name, p_role);
    end loop;
    if v_last then
        execute format('revoke all on schema %s from %I', v_schema, p_role);
    end if;
end
$$;

comment on function recovery._reclaim_table(regclass, name) is
    'Takes back what recovery._lend_table granted; what other watches of the schema need stays until the last.';

revoke all on function recovery._reclaim_table(regclass, name) from public;
