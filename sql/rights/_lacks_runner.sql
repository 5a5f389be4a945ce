create or replace function recovery._lacks_runner(p_runner recovery.runner)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from pg_roles as r
        join pg_proc as f on f.proowner = r.oid
        where r.rolname = p_runner.role and f.pronamespace = 'recovery_private'::regnamespace
            and f.proname = format('run_%s', p_runner.id) and f.prosecdef
            and pg_has_role(r.oid, 'recovery_runner', 'member')
            and (p_runner.privileged or pg_has_role(r.oid, p_runner.owner, 'usage')))
$$;

comment on function recovery._lacks_runner(recovery.runner) is
    'Whether a runner is not what recovery.permit has made: the role, its memberships, or its function are gone.';

revoke all on function recovery._lacks_runner(recovery.runner) from public;
