-- Leaves the host's tables as they were before they were attached, and no role that nobody else uses.
do $$
declare
    v_table regclass;
    v_roles text[];
    v_role  text;
begin
    perform recovery._forget_dropped();
    for v_table in select w.relation from recovery.watch as w order by w.id loop
        perform recovery.detach(v_table);
    end loop;
    drop event trigger if exists recovery_10_release;
    drop event trigger if exists recovery_20_follow;
    drop event trigger if exists recovery_25_return;
    drop event trigger if exists recovery_30_forget;
    select array_agg(r.role order by r.id) into v_roles from recovery.runner as r;
    drop schema recovery_private, recovery cascade;
    foreach v_role in array v_roles
        || array['recovery_runner', 'recovery_listener', 'recovery_server', 'recovery_owner'] loop
        begin
            if exists (select from pg_catalog.pg_database as d cross join pg_catalog.aclexplode(d.datacl) as a
                join pg_catalog.pg_roles as r on r.oid = a.grantee
                       where d.datname = pg_catalog.current_database() and r.rolname = v_role) then
                execute format('revoke temporary on database %I from %I', pg_catalog.current_database(), v_role);
            end if;
            execute format('drop role if exists %I', v_role);
        exception when dependent_objects_still_exist or insufficient_privilege then
            null;  -- another database of the cluster uses it, or another role made it
        end;
    end loop;
end
$$;
