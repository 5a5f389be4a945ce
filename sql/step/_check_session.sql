create or replace function recovery._check_session()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('is_superuser') = 'on' and current_setting('server_version_num')::integer < 180000
       and coalesce(current_setting('recovery.warned', true), '') = '' then
        perform set_config('recovery.warned', 'on', false);
        raise warning 'recovery: % is a superuser, and a deferred trigger of a watched table may run with its rights',
            session_user
            using hint = 'Up to PostgreSQL 17 a deferred trigger that defers itself again runs at commit as the user '
                'of the session. Log in as a member of recovery_server.';
    end if;
end
$$;

comment on function recovery._check_session() is
    'Warns a superuser once a session up to PostgreSQL 17, before boot, sweep and shutdown.';

revoke all on function recovery._check_session() from public;
