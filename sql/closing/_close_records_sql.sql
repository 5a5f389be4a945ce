create or replace function recovery._close_records_sql(p_watch recovery.watch, p_n integer, p_image jsonb)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- One pass: rows with the values of the first one a hundred at a time, any other one by itself.
    select recovery._render_sql($sql$
        a{n} as materialized (
            select u.owner, {kind} as kind, array_agg(u.key) as keys, {groups} as grps,
                   (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old{new}
            from (
                select u.*, {equal} as same, row_number() over () - 1 as place
                from u{n} as u cross join f{n} as f
            ) as u
            cross join lateral (select {old}) as i{join}
            group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
        ),
        $sql$, jsonb_build_object(
        'n', p_n,
        'kind', recovery._close_kind_sql(p_watch, false),
        'groups', case when p_watch.group_by is null then 'null::text[]' else 'array_agg(u.grp)' end,
        'equal', p_image -> 'equal',
        'old', p_image -> 'old',
        'new', case when p_image ->> 'fixed' is null then
            E',\n           (array_agg(to_jsonb(j.*)) filter (where not u.same))[1] as new' else '' end,
        'join', case when p_image ->> 'fixed' is null
            then format(E'\n    cross join lateral (select %s) as j', p_image ->> 'new') else '' end))
$$;

comment on function recovery._close_records_sql(recovery.watch, integer, jsonb) is
    'The part of the statement that closes which gathers rows that had the same values, and get the same, into '
    'records of a hundred events.';

revoke all on function recovery._close_records_sql(recovery.watch, integer, jsonb) from public;
