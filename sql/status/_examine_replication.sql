create or replace function recovery._examine_replication()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'table-subscribed', 'note', 'watch', w.name,
        'written by a subscription: open rows of its publisher are left alone',
        'a server takes a row over by writing its server_epoch; dropping the subscription makes them orphans',
        null::text[]
    from recovery._attached_watches() as w where recovery._is_replicated(w.family)
    union all
    select 'schema-subscribed', 'note', 'database', current_database()::text,
        format('subscription %I writes schema recovery, too: what it brings is dropped', b.subname),
        'publish the application''s tables by name or by schema', null
    from pg_subscription as b
    where exists (select from pg_subscription_rel as s join pg_class as c on c.oid = s.srrelid where s.srsubid = b.oid
        and c.relnamespace = 'recovery'::regnamespace)
$$;

comment on function recovery._examine_replication() is 'What logical replication writes here. For recovery.examine().';

revoke all on function recovery._examine_replication() from public;
