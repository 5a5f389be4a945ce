create or replace function recovery._session_settings()
returns pg_catalog.jsonb
language sql
stable
security invoker
as $$
    -- Without a SET clause: it must see what the session has. All names are qualified.
    select pg_catalog.jsonb_object_agg(n.name, pg_catalog.current_setting(n.name, true))
    from (
        select s.name from pg_catalog.pg_settings as s
        where s.context operator(pg_catalog.=) 'user'
            and (s.name operator(pg_catalog.!~) '^transaction_' or s.name operator(pg_catalog.=) 'transaction_timeout')
        union all
        select 'recovery.server_epoch' union all select 'recovery.reason' union all select 'recovery.notify'
    ) as n
$$;

comment on function recovery._session_settings() is
    'Settings of the session that code of the host might leave behind changed; for recovery._restore_settings.';

revoke all on function recovery._session_settings() from public;
