create or replace function recovery._compile_uses(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found jsonb;
    v_uses  jsonb;
begin
    select recovery._parse_expression(p_watch.relation,
        'row(' || string_agg(e.expression, ', ' order by e.expression) || ') is null', 'boolean', true)
    into v_found
    from recovery._expressions(p_watch.canonical) as e;
    with
    used (class, object, part) as (
        select (j.triple ->> 0)::oid, (j.triple ->> 1)::oid, (j.triple ->> 2)::integer
        from jsonb_array_elements(v_found -> 'uses') as j (triple)
        union
        select 'pg_class'::regclass, a.attrelid, a.attnum
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped
          and (a.attname = any(p_watch.key_columns) or p_watch.close ? a.attname)
        union
        -- The type of a column that a closing sets: its literals have that type.
        select 'pg_type'::regclass, a.atttypid, 0
        from pg_attribute as a
        where a.attrelid = p_watch.relation and p_watch.close ? a.attname and a.atttypid >= 16384
    ),
    enum (type) as (
        select distinct coalesce(e.oid, t.oid)
        from used as u
        join pg_type as t on t.oid = u.object and u.class = 'pg_type'::regclass
        left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
        where coalesce(e.typtype, t.typtype) = 'e'
    ),
    thing (kind, object, part) as (
        select case u.class when 'pg_type'::regclass then 'type' when 'pg_proc'::regclass then 'function'
                    else case u.part when 0 then 'relation' else 'column' end end, u.object, u.part
        from used as u
        where u.class in ('pg_type'::regclass, 'pg_proc'::regclass)
           or u.class = 'pg_class'::regclass and (u.part > 0 or u.object <> p_watch.relation)
        union
        -- Of a relation of which only columns are noted.
        select 'relation', u.object, 0 from used as u
        where u.class = 'pg_class'::regclass and u.object <> p_watch.relation
        union all
        select 'label', l.oid, 0 from enum as e join pg_enum as l on l.enumtypid = e.type
        union all
        select 'system', 0, 0
    )
    select jsonb_agg(jsonb_build_array(t.kind, t.object, t.part, p.name) order by t.kind, t.object, t.part) into v_uses
    from thing as t cross join lateral recovery._present_name(t.kind, t.object, t.part) as p (name)
    where p.name is not null;  -- the view itself is none of it
    return v_uses;
end
$$;

comment on function recovery._compile_uses(recovery.watch) is
    'Step of recovery._compile_watch: what its expressions, key and closing use, and how that is called: an array of '
    '[kind, object, part, name], see recovery._present_name.';

revoke all on function recovery._compile_uses(recovery.watch) from public;
