create or replace function recovery._examine_login()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'login-superuser', 'warning', 'role', session_user::text,
        'a superuser: a deferred trigger of a watched table may run with its rights',
        'log in as a member of recovery_server', null::text[]
    from pg_roles as r
    where r.rolname = session_user and r.rolsuper and current_setting('server_version_num')::integer < 180000
    union all
    select 'login-reads-only', 'note', 'role', session_user::text, 'may look, but neither boot nor sweep',
        format('grant recovery_server to %I;', session_user), null
    where not pg_has_role(session_user, to_regrole('recovery_server'), 'usage')
    union all
    select 'sessions-hidden', 'note', 'role', session_user::text,
        'does not see since when other roles'' transactions are open: long ones were not looked for',
        format('grant pg_read_all_stats to %I;', session_user), null
    where not pg_has_role(session_user, 'pg_read_all_stats', 'usage')
$$;

comment on function recovery._examine_login() is 'What is wrong with the login that asks. For recovery.examine().';

revoke all on function recovery._examine_login() from public;
