-- sql/drop.sql
-- Leaves the host's tables as they were before they were attached, and no role that nobody else uses.
do $$
declare
    v_table regclass;
begin
    for v_table in select w.relation from recovery.watch as w order by w.id loop
        perform recovery.detach(v_table);
    end loop;
end
$$;
--;
drop schema recovery cascade;
--;
do $$
declare
    v_role text;
begin
    foreach v_role in array array['recovery_listener', 'recovery_server', 'recovery_owner'] loop
        begin
            execute format('drop role if exists %I', v_role);
        exception when dependent_objects_still_exist or insufficient_privilege then
            null;  -- another database of the cluster uses it, or another role made it
        end;
    end loop;
end
$$;
