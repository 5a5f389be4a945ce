create or replace view recovery.keeper_lock as
select -((l.classid::bigint << 32) | l.objid::bigint) as epoch, l.pid
from pg_catalog.pg_locks as l
where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.mode = 'ExclusiveLock'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
  and ((l.classid::bigint << 32) | l.objid::bigint) < 0;

comment on view recovery.keeper_lock is
    'Whose keepers are connected: the session advisory lock -epoch, which goes with its connection.';
comment on column recovery.keeper_lock.epoch is 'Epoch of the server.';
comment on column recovery.keeper_lock.pid is 'Server process of the session that holds it.';
