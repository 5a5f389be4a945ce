create or replace function recovery._watch_of_unit(p_unit recovery.unit)
returns recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A group outlives the watch through which it was named: any other of its family knows it as well.
    select w.* from recovery._attached_watches() as w
    where case p_unit.scope when 'group' then w.family = p_unit.family else w.name = p_unit.watch end
    order by w.name <> p_unit.watch, w.name limit 1
$$;

comment on function recovery._watch_of_unit(recovery.unit) is
    'The watch through which a unit is looked at; null if there is none any more.';

revoke all on function recovery._watch_of_unit(recovery.unit) from public;
