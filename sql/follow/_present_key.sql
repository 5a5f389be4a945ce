create or replace function recovery._present_key(p_watch recovery.watch)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(recovery._present_name('column', p_watch.relation, (u.use ->> 2)::integer) order by k.n)
    from unnest(p_watch.key_columns) with ordinality as k (name, n)
    left join jsonb_array_elements(p_watch.uses) as u (use)
      on u.use ->> 0 = 'column' and (u.use ->> 1)::oid = p_watch.relation and u.use ->> 3 = k.name
$$;

comment on function recovery._present_key(recovery.watch) is
    'What the key columns with which a watch was compiled are called now.';

revoke all on function recovery._present_key(recovery.watch) from public;
