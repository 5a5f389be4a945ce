create or replace function recovery._examine_roles()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with ours (name) as (
        select * from unnest(array['recovery_server', 'recovery_listener', 'recovery_runner'])
        union select n.role::text from recovery.runner as n
    ), needs (role, routine) as (
        -- Without these nothing works; a restore without privileges has none of them.
        select 'recovery_server', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('boot', 'sweep', 'shutdown', 'heartbeat',
            'keeper_heartbeat', 'claim_sweep', 'touch', 'light_fuse', 'extend_fuses', 'cancel_fuse')
        union all
        select 'recovery_listener', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('version', 'timeline')
        union all
        select r.name, p.oid
        from pg_proc as p cross join (values ('recovery_server'), ('recovery_listener')) as r (name)
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('read', 'page', 'tail', 'event_range',
            'event_since', 'latest', 'create_consumer', 'fetch', 'acknowledge', 'move_consumer', 'drop_consumer')
        union all
        select 'recovery_runner', p.oid from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.proname in ('_fence_write', '_announce_written')
    )
    select 'role-missing', 'error', 'role', o.name, 'does not exist', null,
        case when n.owner is null then array[format('create role %I nologin;', o.name)]
             when exists (select from pg_roles as r where r.oid = n.owner)
             then array[format('select recovery.permit(%L);', n.owner)] end
    from ours as o left join recovery.runner as n on n.role = o.name
    where not exists (select from pg_roles as r where r.rolname = o.name)
    union all
    select 'role-unsafe', 'error', 'role', r.rolname, 'can log in or has rights of its own',
        format('alter role %I nologin nosuperuser nocreaterole noreplication;', r.rolname), null
    from ours as o join pg_roles as r on r.rolname = o.name
    where r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolreplication
    union all
    select 'runner-invalid', 'error', 'role', n.role::text, format('is not what runs for %s any more', n.owner), null,
        array[format('select recovery.permit(%L);', n.owner)]
    from recovery.runner as n join pg_roles as r on r.rolname = n.role join pg_roles as o on o.oid = n.owner
    where not pg_has_role(r.oid, to_regrole('recovery_runner'), 'usage')
       or not n.privileged and not pg_has_role(r.oid, o.oid, 'usage')
       or to_regprocedure(format('recovery_private.run_%s(text, recovery.task, text)', n.id)) is null
    union all
    select 'grant-missing', 'error', 'role', d.role, format('may not execute %s', d.routine::regprocedure), null,
        array[format('grant execute on routine %s to %I;', d.routine::regprocedure, d.role)]
    from needs as d join pg_roles as r on r.rolname = d.role
    where not has_function_privilege(r.oid, d.routine, 'execute')
    union all
    select 'grant-missing', 'error', 'role', r.rolname, 'may not use schema recovery', null,
        array[format('grant usage on schema recovery to %I;', r.rolname)]
    from pg_roles as r
    where r.rolname in ('recovery_server', 'recovery_listener', 'recovery_runner')
      and not has_schema_privilege(r.oid, 'recovery', 'usage')
    union all
    select 'grant-missing', 'error', 'role', r.rolname, 'may not read recovery.event', null,
        array[format('grant select on recovery.event to %I;', r.rolname)]
    from pg_roles as r
    where r.rolname in ('recovery_server', 'recovery_listener')
        and not has_table_privilege(r.oid, 'recovery.event', 'select')
$$;

comment on function recovery._examine_roles() is
    'What is wrong with our roles, the runners and their rights. For recovery.examine().';

revoke all on function recovery._examine_roles() from public;
