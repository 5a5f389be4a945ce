create or replace function recovery._examine_database()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'database-standby', 'error', 'database', current_database()::text,
        'a standby: servers, sweeps and consumers need the primary', 'connect to the primary', null::text[]
    where pg_is_in_recovery()
    union all
    select 'wraparound-near', 'error', 'database', d.datname,
        format('%s transactions old: PostgreSQL refuses writes at 2 billion', age(d.datfrozenxid)),
        'vacuum (freeze);', null
    from pg_database as d where d.datname = current_database() and age(d.datfrozenxid) > 1500000000
    union all
    select 'row-missing', 'error', 'table', t.name, 'its one row is missing', null,
        array[format('insert into %s default values;', t.name)]
    from (values ('recovery.observation', exists (select from recovery.observation)),
        ('recovery.clock', exists (select from recovery.clock)),
        ('recovery.event_floor', exists (select from recovery.event_floor))) as t (name, filled)
    where not t.filled
    union all
    select 'owner-changed', 'error', 'database', current_database()::text,
        format('%s of %s objects of schema recovery do not belong to recovery_owner: restored without owners',
            count(*) filter (where not o.ours), count(*)),
        case when count(*) filter (where not o.ours) > 3 then 'recovery doctor --fix' end,
        array_agg(format('alter %s %s owner to recovery_owner;', o.what, o.name) order by o.what, o.name)
            filter (where not o.ours)
    from (
        select c.oid::regclass::text as name, case c.relkind when 'v' then 'view' else 'table' end as what,
            c.relowner = 'recovery_owner'::regrole as ours
        from pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind in ('r', 'p', 'v')
            and c.relname <> 'alembic_version'
        union all
        select f.oid::regprocedure::text, case f.prokind when 'p' then 'procedure' else 'function' end,
            f.proowner = 'recovery_owner'::regrole
        from pg_proc as f where f.pronamespace = 'recovery'::regnamespace and f.proname !~ '^watch_[0-9]+_') as o
    having bool_or(not o.ours)
    union all
    select 'own-trigger-disabled', 'error', 'table', t.tgrelid::regclass::text,
        format('its trigger %s is disabled', t.tgname), null,
        array[format('alter table %s enable %strigger %I;', t.tgrelid::regclass,
            case when t.tgname = 'recovery_00_stay_local' then 'replica ' end, t.tgname)]
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace = 'recovery'::regnamespace and not t.tgisinternal and t.tgenabled = 'D'
$$;

comment on function recovery._examine_database() is
    'What is wrong with the database, and with our own tables. For recovery.examine().';

revoke all on function recovery._examine_database() from public;
