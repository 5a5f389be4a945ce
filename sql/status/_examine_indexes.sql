create or replace function recovery._examine_indexes(p_watch recovery.watch)
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
    -- What is built of built-in types only runs no code, whoever builds it; else the runner does, in a transaction.
    with made as (
        select k.kind, format('recovery_%s_%s', k.kind, p_watch.id) as name, t.relnamespace, s.slow,
            case when s.slow then format('select recovery.alter(%L, %L);', p_watch.relation, '{}')
                 else recovery._index_sql(p_watch, k.kind, p_how => 'concurrently') || ';' end as statement
        from (values ('open'), ('started')) as k (kind)
        join pg_class as t on t.oid = p_watch.relation
        cross join lateral (select t.relkind = 'p' or not p_watch.plain as slow) as s
        where k.kind = 'open' or p_watch.supervised is not null
    )
    select 'index-missing', 'error', 'watch', p_watch.name,
        format('%s lacks the index %s: each sweep reads the whole table', p_watch.relation, m.name), null::text,
        array[m.statement]
    from made as m
    where not exists (select from pg_class as c where c.relnamespace = m.relnamespace and c.relname = m.name)
    union all
    select case f.what when 'reindex' then 'index-invalid' when 'rename' then 'index-name-taken'
            else 'index-changed' end, 'error', 'watch', p_watch.name, i.problem,
        case when f.what = 'rename' then
            format('%s %s rename to %I;', case r.relkind when 'i' then 'alter index' when 'I' then 'alter index'
                when 'S' then 'alter sequence' when 'v' then 'alter view' else 'alter table' end, r.oid::regclass,
                'not_' || m.name) end,
        case f.what when 'reindex' then array[i.remedy]
            when 'drop' then array[format('drop index %s%s;', case when r.relkind = 'i' then 'concurrently ' end,
                r.oid::regclass), m.statement] end
    from made as m
    cross join lateral recovery._index_problem(p_watch, m.kind) as i
    cross join lateral (select substring(i.remedy from '^\w+') as what) as f
    join pg_class as r on r.relnamespace = m.relnamespace and r.relname = m.name
    where i.problem is not null
$$;

comment on function recovery._examine_indexes(recovery.watch) is
    'What is wrong with the indexes of a watch. For recovery.examine().';

revoke all on function recovery._examine_indexes(recovery.watch) from public;
