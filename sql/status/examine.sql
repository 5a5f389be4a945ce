create or replace function recovery.examine()
returns table (name text, state text, subject text, finding text, remedy text)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
with
checks (n, name, well) as (values
    (1, 'login', format('%s may boot and sweep', session_user)),
    (2, 'database', 'writable, and everything belongs to recovery_owner'),
    (3, 'roles', 'as recovery.permit makes them'),
    (4, 'sweeper', 'a sweep within the last minute'),
    (5, 'watches', format('%s, all can be closed', (select count(*) from recovery._attached_watches()))),
    (6, 'triggers', 'all there and enabled'),
    (7, 'indexes', 'all there and valid'),
    (8, 'sessions', 'no setting keeps triggers from firing'),
    (9, 'owners', 'every open row has one'),
    (10, 'orphans', 'none'),
    (11, 'entries', 'no impossible server, process or fuse'),
    (12, 'silence', 'no server is held back'),
    (13, 'ends', 'none pending'),
    (14, 'failures', 'none'),
    (15, 'replication', 'no watched table is written by a subscription')
),
w as materialized (select s.*, a.family, a.unowned is not null
    or recovery.get_setting('unowned_expected', s.watch) = 'true' as expected
                   from recovery.watch_status as s join recovery._attached_watches() as a on a.name = s.watch),
p as materialized (select * from recovery.problem),
found (name, state, subject, finding, remedy) as (
    select 'login', 'problem', session_user::text,
        'a superuser: up to PostgreSQL 17 a deferred trigger of a watched table may run with its rights',
           'log in as a member of recovery_server'
    from pg_roles as r where r.rolname = session_user and r.rolsuper
        and current_setting('server_version_num')::integer < 180000
    union all
    select 'login', 'note', session_user::text, 'may look, but neither boot nor sweep',
        format('grant recovery_server to %I;', session_user)
    where not pg_has_role(session_user, 'recovery_server', 'usage')
    union all
    select 'database', 'problem', current_database()::text, 'a standby: servers, sweeps and listeners need the primary',
        'connect to the primary'
    where pg_is_in_recovery()
    union all
    select 'database', 'problem', t.name, 'its one row is missing', format('insert into %s default values;', t.name)
    from (values ('recovery.observation', exists (select from recovery.observation)),
        ('recovery.clock', exists (select from recovery.clock))) as t (name, filled)
    where not t.filled
    union all
    select 'database', 'problem', min(o.name),
        format('%s of %s objects of schema recovery do not belong to recovery_owner: restored without owners',
        count(*) filter (where not o.ours), count(*)),
           'restore with owners, or give them back: alter ... owner to recovery_owner'
    from (
        select c.oid::regclass::text as name, c.relowner = 'recovery_owner'::regrole as ours from pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind in ('r', 'v') and c.relname <> 'alembic_version'
        union all
        select f.oid::regprocedure::text, f.proowner = 'recovery_owner'::regrole from pg_proc as f
        where f.pronamespace = 'recovery'::regnamespace and f.proname !~ '^watch_[0-9]+_') as o
    having bool_or(not o.ours)
    union all
    select 'roles', 'problem', coalesce(r.rolname, s.name),
        case when r.oid is null then 'does not exist' else 'can log in or has rights of its own' end,
           case when r.oid is null then format('create role %I nologin;', s.name)
               else format('alter role %I nologin nosuperuser nocreaterole noreplication;', r.rolname) end
    from (select * from unnest(array['recovery_server', 'recovery_listener', 'recovery_runner']) union select role::text
        from recovery.runner) as s (name)
    left join pg_roles as r on r.rolname = s.name
    where r.oid is null or r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolreplication
    union all
    select 'roles', 'problem', n.role::text, 'is not what runs for its owner any more',
        format('select recovery.permit(%L);', n.owner)
    from recovery.runner as n
    where exists (select from pg_roles as r where r.rolname = n.role)
        and exists (select from pg_roles as r where r.oid = n.owner)
      and (not pg_has_role(n.role, 'recovery_runner', 'usage')
           or not n.privileged and not pg_has_role(n.role, n.owner, 'usage')
           or to_regprocedure(format('recovery_private.run_%s(text, recovery.task, text)', n.id)) is null)
    union all
    select 'sweeper', 'problem', null,
        coalesce('nobody has swept for ' || date_trunc('second', recovery._now() - o.swept), 'nobody has swept yet'),
           'recovery sweep (cron), or recovery.serve in a process'
    from recovery.observation as o
    where coalesce(o.swept < recovery._now() - interval '1 minute', true)
        and exists (select from recovery._attached_watches())
    union all
    select case p.kind when 'watch' then 'watches' when 'partition' then 'watches' when 'trigger' then 'triggers'
        when 'index' then 'indexes' when 'setting' then 'sessions' else 'entries' end,
           'problem', case when p.kind in ('fuse', 'process', 'server') then p.kind || ' ' || p.name else p.name end,
               p.problem, p.remedy
    from p
    union all
    select 'watches', 'problem', r.watch, r.problem, 'repair it, or detach and attach it with what there is'
    from recovery._broken_watches() as r where not exists (select from p where p.kind = 'watch' and p.name = r.watch)
    union all
    select 'watches', 'problem', w.watch, 'its table has got a BEFORE UPDATE trigger since it was attached',
        'call recovery.attach again' from w where w.stale
    union all
    select distinct 'watches', 'problem', t.tgrelid::regclass::text,
        'has our triggers, and is not watched: restored without its watch',
           'drop its triggers recovery_..., then attach it'
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and not t.tgisinternal and t.tgparentid = 0
        and c.relnamespace <> 'recovery'::regnamespace
      and not exists (select from recovery.watch as a where a.relation = t.tgrelid)
    union all
    select 'owners', 'problem', w.watch,
        format('%s open rows belong to nobody: no one notices when their process dies', w.unowned),
           format('bind what writes them (recovery.serve), or, if that is meant: '
               'recovery config set unowned_expected true --watch %s', w.watch)
    from w where w.unowned > 0 and w.expected is not true
    union all
    select 'orphans', 'problem', w.watch, format('%s open rows of servers that have ended', w.orphans),
        'recovery sweep; if they stay: recovery status'
    from w where w.orphans > 0
    union all
    select 'silence', 'problem', format('%s (epoch %s)', s.name, s.epoch),
        format('looks dead, and is not declared dead%s: %s', ' before ' || date_trunc('second', s.held_until),
        s.held_because),
           format('wait, or: recovery evict %s', s.epoch)
    from recovery.server_status as s where s.state = 'held back'
    union all
    select 'ends', 'problem', format('%s (epoch %s)', s.name, s.epoch),
        format('is to end (%s), but a transaction of its own is open%s', s.pending, l.held),
           format('recovery evict %s --terminate-backends', s.epoch)
    from recovery.server as s
    cross join lateral (
        select ' in ' || string_agg(distinct coalesce('backend ' || l.pid, 'a prepared transaction'), ', ') as held
            from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = s.epoch) as l
    where s.pending is not null and s.ended is null
    union all
    select 'failures', 'problem', f.watch,
        format('%s rows cannot be closed, the last one (%s): %s', count(*),
        (array_agg(f.key order by f.last_at desc))[1], (array_agg(f.message order by f.last_at desc))[1]),
           'repair what refuses it: it is tried again by itself'
    from recovery.failure as f group by f.watch
    union all
    select 'replication', 'note', w.watch,
        format('written by a subscription: %s open rows of its publisher are left alone', w.elsewhere),
           'a server takes a row over by writing its server_epoch; dropping the subscription makes them orphans'
    from w where w.elsewhere is not null
    union all
    select 'replication', 'note', 'schema recovery',
        format('subscription %I writes it, too: what it brings is dropped', b.subname),
           'publish the application''s tables by name or by schema'
    from pg_subscription as b
    where exists (select from pg_subscription_rel as s join pg_class as c on c.oid = s.srrelid where s.srsubid = b.oid
        and c.relnamespace = 'recovery'::regnamespace)
)
select c.name, coalesce(f.state, 'ok'), f.subject, coalesce(f.finding, c.well), f.remedy
from checks as c left join found as f on f.name = c.name
order by c.n, f.subject, f.finding
$$;

comment on function recovery.examine() is
    'What recovery doctor shows: each check with its findings (state ok, note or problem), and what to do. It changes '
    'nothing.';

revoke all on function recovery.examine() from public;
