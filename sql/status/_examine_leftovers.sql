create or replace function recovery._examine_leftovers()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'watch-table-gone', 'error', 'watch', w.name, 'its table was dropped', null,
        array[format('select recovery.detach(%L);', w.relation::oid)]
    from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation)
    union all
    select 'watch-unfinished', 'warning', 'watch', w.name,
        format('attaching %s, or detaching it, was begun and has not ended: nothing is closed there', w.relation),
        format('repeat it, it goes on; or: select recovery.detach(%L);', w.relation), null
    from recovery.watch as w
    where w.attached is null and exists (select from pg_class as c where c.oid = w.relation)
    union all
    select 'watch-lost', 'error', 'table', t.tgrelid::regclass::text,
        'has our triggers, and is not watched: restored without its watch', null,
        array_agg(format('drop trigger %I on %s;', t.tgname, t.tgrelid::regclass) order by t.tgname)
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and not t.tgisinternal and t.tgparentid = 0
      and c.relnamespace <> 'recovery'::regnamespace
      and not exists (select from recovery.watch as w where w.relation = t.tgrelid)
    group by t.tgrelid
    union all
    select 'leftover-routine', 'warning', 'database', current_database()::text,
        format('%s is of no watch', p.oid::regprocedure), null, array[format('drop function %s;', p.oid::regprocedure)]
    from pg_proc as p
    where p.pronamespace = 'recovery'::regnamespace and p.proname ~ '^watch_[0-9]+_'
      and not exists (
          select from recovery.watch as w where w.id::text = substring(p.proname from '^watch_([0-9]+)_'))
      and not exists (select from pg_trigger as t where t.tgfoid = p.oid)
    union all
    select 'leftover-view', 'warning', 'database', current_database()::text,
        format('%s is of no watch', c.oid::regclass), null, array[format('drop view %s;', c.oid::regclass)]
    from pg_class as c
    where c.relnamespace = 'recovery'::regnamespace and c.relkind = 'v' and c.relname ~ '^outbox_[0-9]+(_single)?$'
      and not exists (
          select from recovery.watch as w where w.outbox::text = substring(c.relname from '^outbox_([0-9]+)'))
    union all
    select 'leftover-index', 'warning', 'table', i.indrelid::regclass::text,
        format('its index %s is of no watch', c.oid::regclass), null,
        array[format('drop index %s%s;', case when c.relkind = 'i' then 'concurrently ' end, c.oid::regclass)]
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relname ~ '^recovery_(open|started)_[0-9]+$' and c.relnamespace <> 'recovery'::regnamespace
      and not c.relispartition
      and not exists (select from recovery.watch as w where w.id::text = substring(c.relname from '[0-9]+$'))
$$;

comment on function recovery._examine_leftovers() is
    'What is left of tables that were dropped, and of watches that are gone. For recovery.examine().';

revoke all on function recovery._examine_leftovers() from public;
