create or replace function recovery._is_group_open(p_family text, p_groups text[])
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_open  boolean;
    v_task  recovery.task;
begin
    v_task.keys := p_groups;
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family and w.group_by is not null order by w.position loop
        v_task.epochs := recovery._open_epochs(v_watch.name);
        select o.* into v_open from recovery._run_as_owner(v_watch.runner, format(
            'select to_jsonb(exists (select from unnest(($1).keys::%1$s[]) as g (g) cross join unnest(($1).epochs) as e (epoch) cross join lateral'
            ' (select from %2$s as r where r.server_epoch = e.epoch and %3$s and (%4$s) and (%5$s) limit 1) as r)'
            ' or exists (select from unnest(($1).keys::%1$s[]) as g (g) cross join lateral'
            ' (select from %2$s as r where r.server_epoch is null and %3$s and (%4$s) and (%5$s) limit 1) as r))',
            v_watch.group_type, v_watch.relation, recovery._key_sql(v_watch, 'group'), v_watch.open, coalesce(v_watch.only_if, 'true')), v_task) as o;
        if v_open then
            return true;
        end if;
    end loop;
    return false;
end
$$;

comment on function recovery._is_group_open(text, text[]) is 'Whether any row of these groups is open, whoever owns it.';

revoke all on function recovery._is_group_open(text, text[]) from public;
