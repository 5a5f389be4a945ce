create or replace function recovery._check_family(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other recovery.watch;
begin
    select w.* into v_other from recovery.watch as w
    where w.family = p_watch.family and w.id <> p_watch.id
      and (w.group_type is distinct from p_watch.group_type or w.runner <> p_watch.runner);
    if found and v_other.runner <> p_watch.runner then
        perform recovery._fail('RC006',
            format('%s and %s, of family "%s", belong to two owners',
                p_watch.relation, v_other.relation, p_watch.family),
            'Watches of one family close in one statement, with the rights of one owner.');
    elsif found then
        perform recovery._fail('RC006', format('the group of %s is %s, that of "%s" in family "%s" is %s',
            p_watch.relation, coalesce(p_watch.group_type, 'not given'),
            v_other.name, p_watch.family, coalesce(v_other.group_type, 'not given')),
            'Watches of one family share the type of their group.');
    end if;
    if p_watch.group_by is null
        and exists (select from recovery.watch as w where w.family = p_watch.family and w.id <> p_watch.id)
    then
        perform recovery._fail('RC006', format('family "%s" has a watch already', p_watch.family),
            'Watches share a family only by p_group.');
    end if;
end
$$;

comment on function recovery._check_family(recovery.watch) is
    'Refuses a watch that cannot close together with the others of its family: RC006.';

revoke all on function recovery._check_family(recovery.watch) from public;
