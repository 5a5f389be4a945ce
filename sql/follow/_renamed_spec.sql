create or replace function recovery._renamed_spec(p_watch recovery.watch)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec    jsonb := p_watch.canonical;
    v_renames jsonb := recovery._rename_map(p_watch);
    v_one     record;
begin
    for v_one in select e.path, e.expression from recovery._expressions(v_spec) as e loop
        v_spec := jsonb_set(v_spec, v_one.path, to_jsonb(recovery._rename_sql(v_one.expression, v_renames)));
    end loop;
    if v_spec ->> 'order' is not null then
        v_spec := jsonb_set(v_spec, '{order}', to_jsonb(substring(v_spec ->> 'order' from '^row\((.*)\)$')));
    end if;
    -- The columns that a closing sets stand as keys.
    for v_one in
        select o.option, jsonb_object_agg(coalesce(
            (parse_ident(v_renames ->> ('row.' || quote_ident(c.name)), false))[1], c.name), c.expression) as columns
        from unnest(array['close', 'requeue']) as o (option)
        cross join lateral jsonb_each(
            case jsonb_typeof(v_spec -> o.option) when 'object' then v_spec -> o.option else '{}' end)
            as c (name, expression)
        group by o.option
    loop
        v_spec[v_one.option] := v_one.columns;
    end loop;
    for v_one in
        select o.option, v_renames ->> ('row.' || quote_ident(v_spec ->> o.option)) as name
        from unnest(array['attempts', 'not_before']) as o (option)
        where v_renames ? ('row.' || quote_ident(v_spec ->> o.option))
    loop
        v_spec[v_one.option] := to_jsonb((parse_ident(v_one.name, false))[1]);
    end loop;
    return v_spec;
end
$$;

comment on function recovery._renamed_spec(recovery.watch) is
    'The options of a watch, as recovery.watch.canonical, with the present names of what they use. RC006 something is '
    'gone.';

revoke all on function recovery._renamed_spec(recovery.watch) from public;
