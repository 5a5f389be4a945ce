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
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family and w.group_by is not null
        order by w.position
    loop
        v_task.epochs := recovery._open_epochs(v_watch.name);
        select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select to_jsonb(
                exists (
                    select from unnest(($1).keys::{type}[]) as g (g)
                    cross join unnest(($1).epochs) as e (epoch)
                    cross join lateral (
                        select from {relation} as r
                        where r.server_epoch = e.epoch and {in_group} and ({open}) and ({meant}) limit 1) as r)
                or exists (
                    select from unnest(($1).keys::{type}[]) as g (g)
                    cross join lateral (
                        select from {relation} as r
                        where r.server_epoch is null and {in_group} and ({open}) and ({meant}) limit 1) as r))
            $sql$,
            jsonb_build_object(
                'type', v_watch.group_type,
                'relation', v_watch.relation,
                'in_group', recovery._key_sql(v_watch, 'group'),
                'open', v_watch.open,
                'meant', coalesce(v_watch.only_if, 'true'))), v_task) as o;
        if v_open then
            return true;
        end if;
    end loop;
    return false;
end
$$;

comment on function recovery._is_group_open(text, text[]) is
    'Whether any row of these groups is open, whoever owns it.';

revoke all on function recovery._is_group_open(text, text[]) from public;
