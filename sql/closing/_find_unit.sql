create or replace function recovery._find_unit(p_key text, p_watch text, p_scope text)
returns recovery.unit
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_unit   recovery.unit;
    v_family text;
    v_rows   text[] := '{}';
    v_groups text[] := '{}';
    v_found  text[];
    v_open   boolean;
    v_task   recovery.task;
begin
    v_task.key := p_key;
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where p_scope is distinct from 'group' and (p_watch is null or w.name = p_watch)
        order by w.family, w.position, w.name
    loop
        begin
            select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(exists (select from {relation} as r where ({open}) and {key} = ($1).key))',
                jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open,
                                   'key', recovery._key_text(v_watch.key_columns, 'r'))), v_task) as o;
        exception when others then
            raise warning 'recovery: watch "%" is passed over: %', v_watch.name, sqlerrm;
            v_open := false;
        end;
        if v_open then
            v_rows := v_rows || v_watch.name;
        end if;
    end loop;
    for v_family in
        select distinct w.family from recovery._attached_watches() as w
        where p_scope is distinct from 'row' and w.group_by is not null and (p_watch is null or w.name = p_watch)
    loop
        begin
            if recovery._is_group_open(v_family, recovery._group_tree(v_family, array[p_key], false)) then
                v_groups := v_groups || v_family;
            end if;
        exception
            when invalid_text_representation then
                null;  -- not a group of this type
            when others then
                raise warning 'recovery: family "%" is passed over: %', v_family, sqlerrm;
        end;
    end loop;
    -- A session that is open itself is a row and a group: the group includes it.
    select array_agg(f.name order by f.n) into v_found from (
        select 'row of ' || w.name as name, w.name as n from recovery._attached_watches() as w
        where w.name = any(v_rows) and w.family <> all(v_groups)
        union all
        select 'group of ' || g.name, g.name from unnest(v_groups) as g (name)) as f;
    if cardinality(v_found) > 1 then
        perform recovery._fail('RC010', format('%L could be: %s', p_key, array_to_string(v_found, ', ')),
            'Say which, by watch and scope (row or group).');
    elsif v_found is null then
        perform recovery._fail('RC010',
            format('nothing open has the key or group %s', coalesce(quote_literal(p_key), 'null')),
            'Keys and groups are written as recovery.event shows them.');
    end if;
    select w.family, case v_groups when '{}' then 'row' else 'group' end, w.name, p_key into v_unit
    from recovery._attached_watches() as w
    where case v_groups when '{}' then w.name = any(v_rows) else w.family = any(v_groups) end
    order by w.parent is null, w.position, w.name limit 1;
    return v_unit;
end
$$;

comment on function recovery._find_unit(text, text, text) is
    'The one open unit that has a key, in a watch or in all of them, as a row, as a group, or as what it is (null). '
    'RC010 nothing or several things are called so.';

revoke all on function recovery._find_unit(text, text, text) from public;
