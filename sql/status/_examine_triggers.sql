create or replace function recovery._examine_triggers(p_watch recovery.watch)
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
    with ours as (
        select t.*, p.pronamespace = 'recovery'::regnamespace
            and (p.proname !~ '^watch_' or p.proname ~ format('^watch_%s_', p_watch.id)) as made
        from (
            select p_watch.relation::oid as oid union select l.relid from pg_partition_tree(p_watch.relation) as l) as l
        join pg_trigger as t on t.tgrelid = l.oid join pg_proc as p on p.oid = t.tgfoid
        where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
    )
    select 'trigger-missing', 'error', 'watch', p_watch.name,
        format('%s lacks the trigger%s %s', p_watch.relation, case when count(*) > 1 then 's' end,
            string_agg(d.name, ', ' order by d.name)), null::text,
        array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from recovery._trigger_definitions(p_watch) as d
    where not exists (select from ours as t where t.tgrelid = p_watch.relation and t.tgname = d.name)
    having count(*) > 0
    union all
    select 'trigger-disabled', 'error', 'watch', p_watch.name,
        format('%s of %s %s', t.tgname, t.tgrelid::regclass, case t.tgenabled
            when 'D' then 'is disabled: writes are neither fenced nor told'
            when 'R' then 'is enabled for replicas only: writes are neither fenced nor told'
            else 'is enabled for replicas, too: a subscription of this table stops at the fence' end), null,
        array[format('alter table %s enable trigger %I;', t.tgrelid::regclass, t.tgname)]
    from ours as t where t.tgenabled <> 'O' and t.made
    union all
    select 'trigger-changed', 'error', 'watch', p_watch.name,
        format('%s of %s is not the one that recovery.attach made', t.tgname, t.tgrelid::regclass), null,
        array[format('drop trigger %I on %s;', t.tgname, t.tgrelid::regclass),
            format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from ours as t where not t.made and t.tgparentid = 0
    union all
    select 'routine-changed', 'error', 'watch', p_watch.name,
        format('%s is not the one that recovery.attach made', p.oid::regprocedure), null,
        array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')]
    from pg_proc as p join recovery.runner as n on n.id = p_watch.runner
    cross join lateral (select substring(p.proname from '^watch_[0-9]+_(.*)$') as operation) as o
    where p.pronamespace = 'recovery'::regnamespace and p.proname ~ format('^watch_%s_', p_watch.id)
      and o.operation in ('before_insert', 'before_update', 'before_delete', 'insert', 'update', 'delete', 'truncate')
      and (p.prosrc <> recovery._trigger_sql(p_watch, o.operation) or not p.prosecdef
           or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp']
           or p.proowner is distinct from (select r.oid from pg_roles as r where r.rolname = n.role))
$$;

comment on function recovery._examine_triggers(recovery.watch) is
    'What is wrong with the triggers of a watch and with their functions. For recovery.examine().';

revoke all on function recovery._examine_triggers(recovery.watch) from public;
