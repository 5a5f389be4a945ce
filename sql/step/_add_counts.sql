create or replace function recovery._add_counts(p_a jsonb, p_b jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(s.key, s.n), '{}')
    from (select x.key, sum(x.value::bigint) as n
          from (select * from jsonb_each_text(p_a) union all select * from jsonb_each_text(p_b)) as x
          group by x.key) as s
$$;

comment on function recovery._add_counts(jsonb, jsonb) is 'Adds two objects of counts key by key.';

revoke all on function recovery._add_counts(jsonb, jsonb) from public;
