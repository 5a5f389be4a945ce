create or replace function recovery._key_sql(p_watch recovery.watch, p_form text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_form
        when 'columns' then string_agg(format('r.%I', c.name), ', ' order by c.n)
        when 'parts' then format('array[%s]', string_agg(format('(r.%I)::text', c.name), ', ' order by c.n))
        when 'between' then recovery._render_sql(
            '(($1).keys is null or ({columns}) > ({after})) and (($1).bound is null or ({columns}) <= ({bound}))',
            jsonb_build_object(
                'columns', string_agg(format('r.%I', c.name), ', ' order by c.n),
                'after', string_agg(format('(($1).keys[%s])::%s', c.n, p_watch.key_types[c.n]), ', ' order by c.n),
                'bound', string_agg(format('(($1).bound[%s])::%s', c.n, p_watch.key_types[c.n]), ', ' order by c.n)))
        when 'loose' then format('(%s) is null', p_watch.group_by)
        when 'equal' then string_agg(
            format('r.%I = (($1).keys[%s])::%s', c.name, c.n, p_watch.key_types[c.n]), ' and ' order by c.n)
        when 'group' then format('%s = g.g', p_watch.group_by)
        when 'groups' then format('%s = any(($1).keys::%s[])', p_watch.group_by, p_watch.group_type)
        end
    from unnest(p_watch.key_columns) with ordinality as c (name, n)
$$;

comment on function recovery._key_sql(recovery.watch, text) is
    'SQL text about the key of a row r: its columns, its parts as text[], or its comparison with the task''s keys and '
    'bound.';

revoke all on function recovery._key_sql(recovery.watch, text) from public;
