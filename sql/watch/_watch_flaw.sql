create or replace function recovery._watch_flaw(p_watch recovery.watch)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select f.flaw from (
        select 1 as n, 'the column server_epoch is gone' as flaw
        where not exists (
            select from pg_attribute as a
            where a.attrelid = p_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
        union all
        select 2, 'its table has another owner'
        where (recovery._runner_of(p_watch.relation)).id is distinct from p_watch.runner
        union all
        select 3, 'triggers of its table are not noticed, or not lent to' where recovery._is_stale(p_watch.relation)
        union all
        select 4, format('%s is gone', d.name) from recovery._watch_definitions(p_watch) as d
        union all
        select 5, i.problem
        from unnest(array['open', 'started']) as k (kind)
        cross join lateral recovery._index_problem(p_watch, k.kind) as i
        where i.problem is not null and (k.kind = 'open' or p_watch.supervised is not null)
        union all
        select 6, format('trigger %s of %s is disabled, or not for it', t.tgname, t.tgrelid::regclass)
        from (select p_watch.relation::oid as oid
              union select p.relid from pg_partition_tree(p_watch.relation) as p) as l
        join pg_trigger as t on t.tgrelid = l.oid
        join pg_proc as p on p.oid = t.tgfoid
        where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
          and (t.tgenabled <> 'O' or p.pronamespace = 'recovery'::regnamespace
              and p.proname ~ '^watch_' and p.proname !~ format('^watch_%s_', p_watch.id))
        union all
        select 7, format('function %s is not its runner''s, or not for the table''s owner', p.proname)
        from recovery.runner as r
        join pg_roles as o on o.rolname = r.role
        join pg_proc as p on p.pronamespace = 'recovery'::regnamespace
            and p.proname ~ format('^watch_%s_', p_watch.id)
        where r.id = p_watch.runner
          and (p.proowner <> o.oid or not p.prosecdef or not has_function_privilege(r.owner, p.oid, 'execute'))
        union all
        select 8, 'its runner may not write its events'
        from recovery.runner as r
        cross join unnest(recovery._outbox_views(p_watch.outbox)) as v (name)
        where r.id = p_watch.runner
          and (to_regclass(v.name) is null or not has_table_privilege(r.role, to_regclass(v.name), 'insert'))
    ) as f
    order by f.n, f.flaw limit 1
$$;

comment on function recovery._watch_flaw(recovery.watch) is
    'What a watch and its table lack of all that recovery.attach makes, so that repeating it has something to repair; '
    'null: nothing.';

revoke all on function recovery._watch_flaw(recovery.watch) from public;
