create or replace function recovery.session_settings()
returns pg_catalog.jsonb
language sql
stable
security invoker
as $$
    -- Without a SET clause: it must see what the session has. All names are qualified.
    select pg_catalog.jsonb_object_agg(n.name, pg_catalog.current_setting(n.name, true))
    from pg_catalog.unnest(array[
        'search_path', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',
        'default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable',
        'datestyle', 'intervalstyle', 'timezone', 'client_encoding', 'bytea_output', 'extra_float_digits',
        'standard_conforming_strings', 'quote_all_identifiers', 'row_security', 'session_replication_role',
        'synchronous_commit', 'recovery.server_epoch', 'recovery.reason', 'recovery.notify', 'recovery.stamp']) as n (name)
$$;

comment on function recovery.session_settings() is 'Settings of the session that code of the host might leave behind changed; for recovery.restore_settings.';

revoke all on function recovery.session_settings() from public;
