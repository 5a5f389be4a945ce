create or replace function recovery._check_definer(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner regrole := (select c.relowner from pg_class as c where c.oid = p_watch.relation);
begin
    -- An index that is made concurrently can't be taken back when one of its literals has run code: see
    -- recovery._check_definitions. So nobody reads them who could do more than the owner.
    if not p_watch.plain and not (recovery._runner_of(p_watch.relation)).privileged and exists (
        select from pg_roles as r
        where r.rolname in (session_user, current_user) and r.oid <> v_owner
            and (r.rolsuper or pg_has_role(r.oid, 'recovery_owner', 'member')))
    then
        perform recovery._fail('42501', format(
            'an index of %s concurrently is made by %s itself: expressions of the watch use types of its own',
            p_watch.relation, v_owner), format('Connect as %s.', v_owner));
    end if;
end
$$;

comment on function recovery._check_definer(recovery.watch) is
    'Refuses a privileged caller who is to read literals of types that a table''s owner has made: 42501.';

revoke all on function recovery._check_definer(recovery.watch) from public;
