create or replace function recovery._is_stale(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._lacks_loan(p_table)
        or recovery._has_rewriting_trigger(p_table)
       and exists (select from pg_trigger as t where t.tgrelid = p_table and t.tgname = 'recovery_20_update'
           and t.tgattr::text <> '')
$$;

comment on function recovery._is_stale(regclass) is
    'Whether the host has added a BEFORE UPDATE trigger since the table was attached: what that changes in columns '
    'that the statement does not name is not noticed until recovery.attach is called again; or triggers in a '
    'superuser''s table, whose runner is lent what they may write when it is attached.';

revoke all on function recovery._is_stale(regclass) from public;
