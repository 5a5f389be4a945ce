create or replace function recovery._write_group_events(
    p_family text, p_epoch bigint, p_groups text[], p_from bigint, p_to bigint, p_reason text, p_detector text
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_head   recovery.watch;
    v_watch  recovery.watch;
    v_groups text[];
    v_some   jsonb;
    v_task   recovery.task;
    v_busy   text[] := '{}';
    v_to     bigint;
begin
    select w.* into v_head from recovery._attached_watches() as w
    where w.family = p_family and (w.failed_topics is not null or w.idle_topics is not null);
    if not found then
        return p_to;
    end if;
    select array_agg(distinct e.group_key) into v_groups from recovery.event_range(p_from, p_to) as e
    where e.detector = p_detector and e.kind in ('closed', 'requeued')
      and e.group_key = any(p_groups);
    if v_head.idle_topics is not null then
        for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family loop
            v_task.keys := v_groups;
            v_task.epochs := recovery._open_epochs(v_watch.name);
            select s.* into v_some from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                select to_jsonb(array_agg(distinct ({group})::text))
                from {relation} as r
                where {in_groups} and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
                  and ({open}){meant}
                $sql$, jsonb_build_object(
                'group', v_watch.group_by,
                'relation', v_watch.relation,
                'in_groups', recovery._key_sql(v_watch, 'groups'),
                'open', v_watch.open,
                'meant', coalesce(' and (' || v_watch.only_if || ')', ''))), v_task) as s;
            v_busy := v_busy || recovery._to_texts(v_some);
        end loop;
    end if;
    with added as (
        insert into recovery.outbox (server_epoch, watch, kind, topic, key, group_key, reason, detector, new)
        select p_epoch, v_head.name, t.kind, t.topic, g.key, g.key, p_reason, p_detector,
               jsonb_build_object('message', recovery._reason_message(p_reason))
        from unnest(p_groups) with ordinality as g (key, n)
        cross join lateral (
            select 'failed' as kind, f.topic, f.n from unnest(v_head.failed_topics) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n from unnest(v_head.idle_topics) with ordinality as i (topic, n)
            where g.key <> all(v_busy)
        ) as t
        where g.key = any(v_groups)
        order by g.n, t.n
        returning id
    )
    select max(id) into v_to from added;
    return coalesce(v_to, p_to);
end
$$;

comment on function recovery._write_group_events(text, bigint, text[], bigint, bigint, text, text) is
    'Writes the events of the groups in which the events p_from..p_to closed rows: failed, and idle where nothing is '
    'open any more. Returns the last event id.';

revoke all on function recovery._write_group_events(text, bigint, text[], bigint, bigint, text, text) from public;
