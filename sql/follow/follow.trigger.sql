-- Event triggers take a superuser. Without them the next boot or sweep does what they do, and PostgreSQL refuses to
-- drop a column that the open condition reads as long as the table is attached.
do $$
begin
    create event trigger recovery_10_release on ddl_command_start
        when tag in ('ALTER TABLE') execute function recovery._release_columns();
    create event trigger recovery_20_follow on ddl_command_end
        when tag in ('ALTER TABLE', 'ALTER TYPE', 'ALTER SCHEMA', 'ALTER FUNCTION', 'CREATE POLICY', 'ALTER POLICY',
                     'DROP POLICY', 'CREATE TRIGGER')
        execute function recovery._follow_ddl();
    create event trigger recovery_25_return on ddl_command_end
        when tag in ('ALTER TABLE') execute function recovery._return_triggers();
    create event trigger recovery_30_forget on sql_drop
        when tag in ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE')
        execute function recovery._forget_ddl();
    comment on event trigger recovery_10_release is 'pg-recovery: the host may drop columns that our triggers read.';
    comment on event trigger recovery_20_follow is 'pg-recovery: what the host has changed is followed at once.';
    comment on event trigger recovery_25_return is 'pg-recovery: our triggers come back.';
    comment on event trigger recovery_30_forget is 'pg-recovery: nothing is left of a watch on a dropped table.';
exception when insufficient_privilege then
    raise notice 'recovery: no event triggers, for % is no superuser: changes of watched tables are followed by the '
        'next boot or sweep', current_user;
end
$$;
