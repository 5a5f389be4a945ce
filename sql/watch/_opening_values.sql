create or replace function recovery._opening_values(p_watch recovery.watch)
returns setof jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Column -> SQL text. Nothing set; then for each column that open reads each literal of it, truth values and
    -- null, with the others as they are, or null.
    with
    col as (
        select a.attname as name, a.attnotnull, a.atttypid = 'boolean'::regtype as truth
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum = any(p_watch.open_columns) and a.attgenerated = ''
            and a.attname <> all (p_watch.key_columns) and a.attname <> 'server_epoch'
    ),
    lit as (
        select distinct l.found[1] as text
        from regexp_matches(p_watch.open, $re$((?:'(?:[^']|'')*')|(?:\m[0-9]+\M))$re$, 'g') as l (found)
    ),
    one as (
        select c.name, l.text as value from col as c cross join lit as l where not c.truth
        union all
        select c.name, t.value from col as c cross join (values ('true'), ('false')) as t (value) where c.truth
        union all
        select c.name, 'null' from col as c where not c.attnotnull
    )
    select s.set from (
        select 0 as n, '{}'::jsonb as set
        union all
        select 1, jsonb_build_object(o.name, o.value) from one as o
        union all
        select 2, jsonb_build_object(o.name, o.value) || (
            select jsonb_object_agg(c.name, 'null') from col as c where c.name <> o.name and not c.attnotnull)
        from one as o where exists (select from col as c where c.name <> o.name and not c.attnotnull)
    ) as s
    order by s.n, s.set::text
    limit 40
$$;

comment on function recovery._opening_values(recovery.watch) is
    'Values of columns by which a row may come to be open, the likeliest first: guessed from the open expression.';

revoke all on function recovery._opening_values(recovery.watch) from public;
