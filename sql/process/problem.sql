create or replace view recovery.problem as
select 'fuse'::text as kind, f.id::text as name, p.problem, format('select recovery.cancel_fuse(%s);', f.id) as remedy
from recovery.fuse as f cross join lateral (
    select recovery._problem_of(f.pid, f.process_start, f.expires) as problem) as p
where p.problem is not null
union all
select 'server', format('%s (epoch %s)', s.name, s.epoch), p.problem, format('recovery evict %s', s.epoch)
from recovery.server as s cross join lateral (select recovery._problem_of(s.pid, s.process_start) as problem) as p
where s.ended is null and p.problem is not null
union all
select 'process', c.id::text, p.problem, format('select recovery.untrack_process(%s);', c.id)
from recovery.process as c cross join lateral (select recovery._problem_of(c.pid, c.process_start) as problem) as p
where p.problem is not null
union all
select 'watch', b.watch, b.message, b.remedy
from recovery.broken_watch as b
union all
select 'watch', w.name, format('%s is being attached or detached: nothing is done about its rows', w.relation),
    'repeat what was interrupted: recovery.attach or recovery.detach, with concurrently=True'
from recovery.watch as w where w.attached is null
union all
select 'watch', w.name, format('its table lacks %s', string_agg(d.name, ', ' order by d.name)),
    'call recovery.attach again'
from recovery._attached_watches() as w cross join lateral recovery._watch_definitions(w) as d
where not exists (select from recovery.broken_watch as b where b.watch = w.name)
group by w.name
union all
select 'watch', w.name, format('its table has no column %s any more', string_agg(c.name, ', ' order by c.name)),
       format('select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now', w.relation)
from recovery._attached_watches() as w cross join lateral (
    select 'server_epoch' as name
    union select * from unnest(w.key_columns)
    union select * from jsonb_object_keys(w.close)
    union select * from jsonb_object_keys(coalesce(w.requeue, '{}'))
    union select w.attempts where w.attempts is not null) as c
where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = w.relation and a.attname = c.name and a.attnum > 0 and not a.attisdropped)
  and not exists (select from recovery.broken_watch as b where b.watch = w.name)
group by w.name, w.relation
union all
select 'trigger', w.name, format('%s of %s %s', t.tgname, t.tgrelid::regclass, case t.tgenabled
           when 'D' then 'is disabled: writes are neither fenced nor told'
           when 'R' then 'is enabled for replicas only: writes are neither fenced nor told'
           else 'is enabled for replicas, too: a subscription of this table stops at the fence' end),
       format('alter table %s enable trigger %s;', t.tgrelid::regclass, t.tgname)
from recovery._attached_watches() as w
cross join lateral (select w.relation::oid as oid union select p.relid
    from pg_catalog.pg_partition_tree(w.relation) as p) as l
join pg_catalog.pg_trigger as t on t.tgrelid = l.oid
where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgenabled <> 'O'
union all
select 'trigger', w.name, format('%s of %s is not the one that recovery.attach made', t.tgname, w.relation),
       format('drop trigger %s on %s; then call recovery.attach again', t.tgname, w.relation)
from recovery._attached_watches() as w
join pg_catalog.pg_trigger as t on t.tgrelid = w.relation join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
  and (p.pronamespace <> 'recovery'::regnamespace or p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', w.id))
union all
select 'partition', w.name,
       format('%s was detached from it and keeps server_epoch and its index: nobody closes what is open in it', l.name),
       format('alter table %s drop column server_epoch;', l.name)
from recovery._attached_watches() as w cross join lateral recovery._left_partitions(w.relation) as l (name)
union all
select 'partition', w.name, format('%s is not yet detached from it: what is open in it waits', p.relation),
       format('alter table %s detach partition %s finalize;', p.parent, p.relation)
from recovery._attached_watches() as w
cross join lateral recovery._partitions_of(w.relation) as p
join pg_catalog.pg_inherits as i on i.inhrelid = p.relation and i.inhdetachpending
union all
select 'index', w.name, i.problem, i.remedy
from recovery._attached_watches() as w
cross join (values ('open'), ('started')) as k (kind)
cross join lateral recovery._index_problem(w, k.kind) as i
where i.problem is not null and (k.kind = 'open' or w.supervised is not null)
union all
select 'setting', 'session_replication_role', format('%s: writes are neither fenced nor told', s.said), s.remedy
from (
    select format('replica for %s',
        concat_ws(' in ', case when d.setrole = 0 then 'every role' else format('role %I', r.rolname) end,
               case when d.setdatabase <> 0 then format('database %I', pg_catalog.current_database()) end)) as said,
           format('alter %s reset session_replication_role;', case
               when d.setrole = 0 then format('database %I', pg_catalog.current_database())
               when d.setdatabase = 0 then format('role %I', r.rolname)
               else format('role %I in database %I', r.rolname, pg_catalog.current_database()) end) as remedy
    from pg_catalog.pg_db_role_setting as d left join pg_catalog.pg_roles as r on r.oid = d.setrole
    where 'session_replication_role=replica' = any(d.setconfig)
      and d.setdatabase in (0,
          (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database()))
    union all
    select case when p.source in ('configuration file', 'command line') then 'replica for the whole server'
                else format('replica in this session (from %s)', p.source) end,
           case when p.source in ('configuration file', 'command line')
               then 'alter system reset session_replication_role; select pg_reload_conf();'
                else 'look for it in PGOPTIONS and in what connects' end
    from pg_catalog.pg_settings as p
    where p.name = 'session_replication_role' and p.setting = 'replica'
        and p.source not in ('database', 'user', 'database user', 'global')
) as s;

comment on view recovery.problem is
    'What every sweep passes over, shown by status: impossible processes and fuses (they are refused where they '
    'enter; a fuse among them guards nothing), and watches whose table, runner or expressions fail; and what takes '
    'the fence from a table: its triggers, indexes and columns, and sessions in which triggers do not fire.';
comment on column recovery.problem.kind is 'fuse, server, process, watch, trigger, partition, index or setting.';
comment on column recovery.problem.name is 'Its number, or name and epoch; of a trigger, partition or index the watch.';
comment on column recovery.problem.problem is 'What is wrong with it.';
comment on column recovery.problem.remedy is 'What to do about it, or to type.';
