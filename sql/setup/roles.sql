-- Roles belong to the cluster, not to one database: they are made when missing and shared by every
-- database that carries the schema. None of them can log in; grant the first three to the roles that do.
--   recovery_owner     owns the schema
--   recovery_server    a process that owns work: boot, heartbeat, sweep, shutdown
--   recovery_listener  reads events and status, changes nothing
--   recovery_runner    what all runners may do: the fence, and their own watches; see recovery.permit
do $$
declare
    v_role text;
begin
    foreach v_role in array array['recovery_owner', 'recovery_server', 'recovery_listener', 'recovery_runner'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
            exception when duplicate_object or unique_violation then
                null;  -- another database's migration was faster
            end;
        end if;
    end loop;
    if not pg_catalog.pg_has_role(current_user, 'recovery_owner', 'usage') then
        execute format('grant recovery_owner to %I', current_user);
    end if;
end
$$;
