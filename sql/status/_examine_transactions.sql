-- With the rights of the caller: what is seen of other sessions depends on them.
create or replace function recovery._examine_transactions(p_patience interval)
returns setof recovery.finding
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- What is not settled may still appear: of any transaction of the whole cluster that has an id.
    select case when t.pid is null then 'transaction-prepared' else 'transaction-long' end, 'warning', 'session',
        coalesce(t.pid::text, t.gid),
        concat_ws('', t.who, ', in database ', t.database, ': it writes since ',
            date_trunc('second', clock_timestamp() - t.begun), ' ago; until it ends, consumers get events as ever, but '
            'what is settled and their positions stay where they are', ': ' || t.query),
        t.remedy, null::text[]
    from recovery.open_transaction as t where t.begun < clock_timestamp() - p_patience
    union all
    select 'snapshot-old', 'warning', 'session', a.pid::text,
        format('%s (%s) reads for %s with one snapshot: what was closed since is not cleaned up, and each sweep '
            'passes over it', a.usename, coalesce(nullif(a.application_name, ''), 'no application_name'),
            date_trunc('second', clock_timestamp() - a.xact_start)),
        format('select pg_terminate_backend(%s);', a.pid), null
    from pg_stat_activity as a
    where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and a.backend_xid is null
      and a.backend_xmin is not null and a.datname = current_database()
      and a.xact_start < clock_timestamp() - p_patience * 60
    union all
    select 'slot-idle', 'warning', 'database', s.slot_name,
        format('a replication slot that nobody reads keeps %s of WAL%s', pg_size_pretty(l.kept),
            case when coalesce(s.xmin, s.catalog_xmin) is not null
                 then format(' and old rows, %s transactions back',
                     greatest(age(s.xmin), age(s.catalog_xmin))) end),
        format('select pg_drop_replication_slot(%L);', s.slot_name), null
    from pg_replication_slots as s
    cross join lateral (select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn()
        else pg_current_wal_lsn() end, s.restart_lsn) as kept) as l
    where not s.active and l.kept > 64 * 1024 * 1024
$$;

comment on function recovery._examine_transactions(interval) is
    'Transactions, snapshots and replication slots that hold up consumers of events, or vacuum. For '
    'recovery.examine().';

revoke all on function recovery._examine_transactions(interval) from public;
