create or replace function recovery._make_runner(p_owner regrole)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner;
    v_owner  text;
    v_tag    text;
    v_given  boolean;
    v_new    boolean := current_setting('server_version_num')::integer >= 160000;  -- a membership says what it is for
    v_set    text := case when v_new then 'set' else 'member' end;
begin
    if not exists (select from pg_roles as r where r.oid = p_owner) then
        perform recovery._fail('RC010', format('role %s does not exist', coalesce(p_owner::text, 'null')),
            'Give the role that owns the tables.');
    end if;
    select r.rolname into v_owner from pg_roles as r where r.oid = p_owner;
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    update recovery.runner as r
    set privileged = o.rolsuper or pg_has_role(o.oid, 'recovery_owner', 'member')
    from pg_roles as o where r.owner = p_owner and o.oid = p_owner returning r.* into v_runner;
    if not found then
        v_tag := case when octet_length(v_owner) <= 40 then v_owner
                      else left(v_owner, 16) || '_' || left(md5(v_owner), 16) end;
        insert into recovery.runner (owner, role, privileged)
        select p_owner, 'recovery_runner_' || v_tag, r.rolsuper or pg_has_role(r.oid, 'recovery_owner', 'member')
        from pg_roles as r where r.oid = p_owner
        returning * into v_runner;
    end if;
    if not exists (select from pg_roles as r where r.rolname = v_runner.role) then
        begin
            execute format('create role %I nologin', v_runner.role);
            execute format('comment on role %I is %L', v_runner.role,
                format('pg-recovery: runner of %s, see recovery.permit.', v_owner));
        exception when duplicate_object or unique_violation then
            null;  -- of another database of this cluster, a moment ago
        end;
    end if;
    if exists (
        select from pg_roles as r
        where r.rolname = v_runner.role and (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolreplication)
    ) then
        perform recovery._fail('RC010',
            format('role %I is not what pg-recovery made: it can log in or has rights of its own', v_runner.role),
            format('alter role %I nologin nosuperuser nocreaterole noreplication;', v_runner.role));
    end if;
    if v_runner.privileged and pg_has_role(v_runner.role, p_owner, 'member') then
        execute format('revoke %I from %I', v_owner, v_runner.role);
    elsif not v_runner.privileged and not pg_has_role(v_runner.role, p_owner, 'member') then
        execute format('grant %I to %I%s', v_owner, v_runner.role,
            case when v_new then ' with inherit true, set false' else '' end);
    end if;
    if not pg_has_role(v_runner.role, 'recovery_runner', 'member') then
        execute format('grant recovery_runner to %I', v_runner.role);
    end if;
    -- Who is no superuser must belong to a role to make something that belongs to it; until the end of this.
    v_given := not (pg_has_role(v_runner.role, 'usage') and pg_has_role(v_runner.role, v_set));
    if v_given then
        execute format('grant %I to %I%s', v_runner.role, current_user,
            case when v_new then ' with inherit true, set true' else '' end);
    end if;
    if not has_database_privilege(v_runner.role, current_database(), 'temporary') then
        execute format('grant temporary on database %I to %I', current_database(), v_runner.role);
    end if;
    perform recovery._make_runner_function(v_runner, v_owner);
    if v_given then
        execute format('revoke %I from %I', v_runner.role, current_user);
    end if;
    return v_runner.id;
end
$$;

comment on function recovery._make_runner(regrole) is
    'Makes, or repairs, the role and the function by which code of an owner''s tables is executed. Needs a superuser, '
    'or CREATEROLE, membership in recovery_owner and (from PostgreSQL 16 on) the admin option on the owner.';

revoke all on function recovery._make_runner(regrole) from public;
