create or replace function recovery._rename_map(p_watch recovery.watch)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Beside each name what a replacement must know: "from <table>" that it is one, "labels <type>" that its labels
    -- have changed.
    select coalesce(jsonb_object_agg(m.was, m.name), '{}')
    from recovery._renames(p_watch) as r
    cross join lateral (values
        (r.was, r.name),
        (case r.kind when 'relation' then 'from ' || r.was when 'label' then 'labels ' || split_part(r.was, '/', 1) end,
         '')) as m (was, name)
    where m.was is not null
$$;

comment on function recovery._rename_map(recovery.watch) is
    'recovery._renames as one object, for recovery._rename_sql.';

revoke all on function recovery._rename_map(recovery.watch) from public;
