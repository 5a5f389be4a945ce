create or replace function recovery.check_session()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_is_in_recovery() then
        perform recovery.fail('RC010', 'this server is a hot standby: nothing can be written here', 'Connect to the primary; with several hosts in a DSN, target_session_attrs=read-write finds it.');
    elsif current_setting('transaction_read_only') = 'on' then
        perform recovery.fail('RC010', 'this session is read-only: nothing can be written', 'Execute set default_transaction_read_only = off; in this session first.');
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        perform recovery.fail('RC010', format('isolation level %s is not allowed here', current_setting('transaction_isolation')),
            'Each step must see what committed before it: set default_transaction_isolation to ''read committed'' in this session.');
    end if;
    if current_setting('is_superuser') = 'on' and current_setting('server_version_num')::integer < 180000
       and coalesce(current_setting('recovery.warned', true), '') = '' then
        perform set_config('recovery.warned', 'on', false);
        raise warning 'recovery: % is a superuser, and a deferred trigger of a watched table may run with its rights', session_user
            using hint = 'Up to PostgreSQL 17 a deferred trigger that defers itself again runs at commit as the user of the session. Log in as a member of recovery_server.';
    end if;
end
$$;

comment on function recovery.check_session() is
    'Refuses a session in which boot, sweep and shutdown cannot work (RC010), and warns a superuser once a session up to PostgreSQL 17.';

revoke all on function recovery.check_session() from public;
