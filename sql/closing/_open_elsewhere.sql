create or replace function recovery._open_elsewhere(
    p_family text, p_task recovery.task, out o_groups text[], out o_epochs bigint[]
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
as $$
declare
    v_watch recovery.watch;
    v_some  jsonb;
begin
    o_groups := '{}';
    o_epochs := array[p_task.epoch];
    -- Of an owner at most as many rows are read as there are groups; who has more is asked group by group.
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
        select f.* into v_some from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            with k as materialized (select jsonb_object_agg(g.g, 1) as map, count(*) as n
                from unnest(($1).keys) as g (g))
            select jsonb_build_object('groups', array_agg(distinct f.grp) filter (where not f.most),
                                      'epochs', array_agg(distinct e.epoch) filter (where f.most))
            from unnest(($1).epochs) as e (epoch)
            cross join lateral (
                select ({group})::text as grp, row_number() over () = (select k.n from k) as most, {meant} as meant
                from {relation} as r where r.server_epoch = e.epoch and ({open}) limit (select k.n from k)) as f
            where e.epoch is distinct from ($1).epoch and (f.most or (select k.map from k) ? f.grp and f.meant)
            $sql$, jsonb_build_object(
            'group', v_watch.group_by,
            'relation', v_watch.relation,
            'open', v_watch.open,
            'meant', coalesce(
                'case when (select k.map from k) ? (' || v_watch.group_by || ')::text then (' || v_watch.only_if
                    || ') end',
                'true'))), p_task) as f;
        o_groups := o_groups || recovery._to_texts(v_some -> 'groups');
        o_epochs := o_epochs || recovery._to_texts(v_some -> 'epochs')::bigint[];
    end loop;
end
$$;

comment on function recovery._open_elsewhere(text, recovery.task) is
    'For the groups of a task: those in which another owner has open work, and the owners that have too much of it to '
    'tell at once. So a closing does not look for every group at every server there is.';

revoke all on function recovery._open_elsewhere(text, recovery.task) from public;
