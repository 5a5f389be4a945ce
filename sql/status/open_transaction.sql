create or replace view recovery.open_transaction as
select
    a.pid,
    null::text as gid,
    case when a.backend_type = 'client backend' then
        format('pid %s (%s, %s), %s', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no application_name'),
            a.state)
    else format('pid %s (%s)', a.pid, a.backend_type) end as who,
    a.datname as database,
    a.xact_start as begun,
    nullif(left(regexp_replace(btrim(a.query), '\s+', ' ', 'g'), 80), '') as query,
    age(a.backend_xid) as older,
    format('select pg_terminate_backend(%s);', a.pid) as remedy
from pg_stat_activity as a
-- A parallel worker writes as its leader; vacuum is not waited for.
where a.backend_xid is not null and a.backend_type not in ('parallel worker', 'autovacuum worker')
  and a.pid <> pg_backend_pid()
union all
select null, p.gid, format('prepared transaction %L (%s)', p.gid, p.owner), p.database, p.prepared, null,
    age(p.transaction), format('rollback prepared %1$L; -- or commit prepared %1$L', p.gid)
from pg_prepared_xacts as p;

comment on view recovery.open_transaction is
    'Transactions of the whole cluster that write: what they have written may still appear, so nothing above counts as '
    'settled, and positions of consumers wait for them. Readers, replication slots and vacuum are not waited for. Who '
    'is no member of pg_read_all_stats sees only its own and prepared ones.';
comment on column recovery.open_transaction.pid is 'The session''s process id; null for a prepared transaction.';
comment on column recovery.open_transaction.gid is 'The name of a prepared transaction.';
comment on column recovery.open_transaction.who is 'Session or prepared transaction, in words.';
comment on column recovery.open_transaction.database is 'Its database; any counts.';
comment on column recovery.open_transaction.begun is 'When it began, or was prepared.';
comment on column recovery.open_transaction.query is 'The beginning of its last statement.';
comment on column recovery.open_transaction.older is 'How many transactions are younger: the oldest has the most.';
comment on column recovery.open_transaction.remedy is 'What ends it.';
