create or replace function recovery._examinations()
returns table (name text, call text)
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- $1: a watch, and then it is called for each; $2: the patience.
    select * from (values
        ('login', 'recovery._examine_login()'),
        ('database', 'recovery._examine_database()'),
        ('roles', 'recovery._examine_roles()'),
        ('leftovers', 'recovery._examine_leftovers()'),
        ('watches', 'recovery._examine_watch($1)'),
        ('triggers', 'recovery._examine_triggers($1)'),
        ('indexes', 'recovery._examine_indexes($1)'),
        ('sweeps', 'recovery._examine_sweeps($2)'),
        ('servers', 'recovery._examine_servers()'),
        ('work', 'recovery._examine_work()'),
        ('entries', 'recovery._examine_entries($2)'),
        ('settings', 'recovery._examine_settings()'),
        ('transactions', 'recovery._examine_transactions($2)'),
        ('events', 'recovery._examine_events()'),
        ('consumers', 'recovery._examine_consumers($2)'),
        ('replication', 'recovery._examine_replication()'),
        ('webhooks', 'recovery._examine_webhooks($2)')
    ) as e (name, call)
$$;

comment on function recovery._examinations() is 'What recovery.examine() looks at, in its order, and the call for it.';

revoke all on function recovery._examinations() from public;
