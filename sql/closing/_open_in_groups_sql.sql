create or replace function recovery._open_in_groups_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return recovery._render_sql($sql$
                    select g.g::text as grp, s.n
                    from unnest(($1).keys::{type}[]) as g (g)
                    cross join lateral (
                        select count(*) as n
                        from unnest(($1).epochs) as w (epoch)
                        cross join lateral (
                            select from {relation} as r
                            where r.server_epoch = w.epoch and {in_group} and ({open}){meant} offset 0) as r
                        union all
                        select count(*) from {relation} as r
                        where r.server_epoch is null and {in_group} and ({open}){meant} offset 0) as s
                    where s.n > 0
        $sql$, jsonb_build_object(
        'type', p_watch.group_type,
        'relation', p_watch.relation,
        'in_group', recovery._key_sql(p_watch, 'group'),
        'open', p_watch.open,
        'meant', coalesce(' and (' || p_watch.only_if || ')', '')));
end
$$;

comment on function recovery._open_in_groups_sql(recovery.watch) is
    'The search that counts the open rows of a watch in each group of the task, whoever owns them.';

revoke all on function recovery._open_in_groups_sql(recovery.watch) from public;
