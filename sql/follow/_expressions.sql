create or replace function recovery._expressions(p_spec jsonb)
returns table (path text[], expression text)
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array[o.key], case o.key when 'order' then 'row(' || o.value || ')' else o.value end
    from jsonb_each_text(p_spec) as o
    where o.value is not null
      and o.key in ('open', 'group', 'parent', 'order', 'image', 'started', 'only', 'owner', 'alive')
    union all
    select array[o.key, e.key], e.value
    from jsonb_each(p_spec) as o
    cross join lateral jsonb_each_text(case jsonb_typeof(o.value) when 'object' then o.value else '{}' end) as e
    where e.value is not null
      and (o.key in ('close', 'requeue')
           or o.key = 'supervised' and e.key in ('kind', 'activity', 'timeout', 'hold', 'child', 'started'))
$$;

comment on function recovery._expressions(jsonb) is
    'The expressions among the options of a watch, with their path in p_spec: as recovery.watch.spec, and what '
    'recovery.supervise was given under supervised.';

revoke all on function recovery._expressions(jsonb) from public;
