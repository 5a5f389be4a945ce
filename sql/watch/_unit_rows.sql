create or replace function recovery._unit_rows(p_unit recovery.unit)
returns table (watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_named  recovery.watch := recovery._watch_of_unit(p_unit);
    v_watch  recovery.watch;
    v_group  text;
    v_key    text;
    v_groups text[];
    v_task   recovery.task;
begin
    v_group := case p_unit.scope when 'group' then p_unit.key
                           else recovery._child_group(v_named, p_unit.key) end;
    v_groups := case when v_group is not null then recovery._group_tree(v_named.family, array[v_group], false) end;
    v_task.key := p_unit.key;
    v_task.keys := v_groups;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = v_named.family order by w.position, w.name
    loop
        v_key := recovery._key_text(v_watch.key_columns, 'r');
        return query select v_watch.name, f.row ->> 0, f.row ->> 1, (f.row ->> 2)::bigint
            from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                select jsonb_build_array({key}, {group}, r.server_epoch)
                from {relation} as r
                where ({open}) and ({meant}) and ({of_unit})
                $sql$, jsonb_build_object(
                'key', v_key,
                'group', coalesce('(' || v_watch.group_by || ')::text', 'null::text'),
                'relation', v_watch.relation,
                'open', v_watch.open,
                'meant', coalesce(v_watch.only_if, 'true'),
                'of_unit', coalesce(nullif(concat_ws(' or ',
                    case when v_groups is not null and v_watch.group_by is not null
                        then recovery._key_sql(v_watch, 'groups') end,
                    case when p_unit.scope <> 'row' then null
                         when v_watch.name = p_unit.watch then v_key || ' = ($1).key'
                         else 'false' end), ''), 'false'))), v_task) as f (row);
    end loop;
end
$$;

comment on function recovery._unit_rows(recovery.unit) is
    'Open rows of a unit, with what the row waits for and all descendants: what closing it concerns.';

revoke all on function recovery._unit_rows(recovery.unit) from public;
