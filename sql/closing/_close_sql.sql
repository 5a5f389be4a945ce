create or replace function recovery._close_sql(
    p_family    text,
    p_selection text,
    p_owner     text    default 'epoch',
    p_guard     text    default 'ignore',
    p_careful   boolean default false,
    p_failing   boolean default false,
    p_heir      boolean default false,
    p_watch     text    default null
)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* One statement closes one batch of a family and writes its events.

   n<n>, v<n>, u<n>, f<n>  the rows of watch n: see recovery._close_update_sql
   a<n>                    its events, gathered: see recovery._close_records_sql
   k, o                    groups with events of their own: see recovery._close_groups_sql
   e                       the events, ordered: groups as keys lists them, watches by position, rows by order_by,
                           then the group's own

   $1 is a recovery.task.

   p_selection  groups: rows of the groups in keys;  range: rows after key keys up to key bound;  loose: max_rows rows
                without a group;  row: the row with key keys
   p_owner      epoch: rows of epoch;  none: rows without an owner;  any: whoever owns them, one of epochs or nobody;
                lifeless: the same, of watch key the rows marked for which alive is still false;  named: rows without
                an owner whose own says key
   p_guard      fuses: ignore, without (leave guarded rows alone), with (only guarded rows)
   p_careful    skip rows that somebody has locked
   p_failing    leave out rows that are recorded as failing and not yet due
   p_heir       do not close but give to epoch heir

   Returns the rows closed, by watch. (Events `returning` their ids would cost half as much as the events.) */
declare
    v_watch  recovery.watch;
    v_n      integer := 0;
    v_image  jsonb;
    v_outbox integer;
    v_ctes   text[];
    v_events text[];
    v_counts text[];
    v_open   text[];
    v_head   recovery.watch;
    v_groups  record;
    v_records boolean;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_family and (p_watch is null or w.name = p_watch)
        order by w.position, w.name
    loop
        v_n := v_n + 1;
        v_outbox := v_watch.outbox;
        v_image := recovery._close_image(v_watch, p_heir);
        v_ctes := v_ctes
            || recovery._close_update_sql(v_watch, v_n, v_image, p_selection, p_owner, p_guard, p_careful, p_failing,
                p_heir);
        v_records := p_selection <> 'groups' and (v_image -> 'same')::boolean;
        if v_records then
            v_ctes := v_ctes || recovery._close_records_sql(v_watch, v_n, v_image);
        end if;
        v_events := v_events || recovery._close_event_sql(v_watch, v_n, v_image, p_selection, p_heir, v_records);
        v_counts := v_counts || format(case when v_records
            then 'select %L::text, coalesce(sum(cardinality(a.keys)), 0) from a%s as a'
            else 'select %L::text, count(*) from u%s' end, v_watch.name, v_n);
        if p_selection = 'groups' and not p_heir then
            v_open := v_open || recovery._open_in_groups_sql(v_watch);
            if v_watch.failed_topics is not null or v_watch.idle_topics is not null then
                v_head := v_watch;
            end if;
        end if;
    end loop;
    if v_head.id is not null then
        v_groups := recovery._close_groups_sql(v_head, v_open);
        v_ctes := v_ctes || v_groups.o_ctes;
        v_events := v_events || v_groups.o_event;
    end if;
    return recovery._render_sql($sql$
        with {ctes}
        e as (
            insert into recovery.outbox_{outbox}
                (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
            select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
                   ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
            from (
        {events}
            ) as x
        {order}
        )
        select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
        from (
            {counts}
        ) as s (watch, n)
        $sql$, jsonb_build_object(
        'ctes', array_to_string(v_ctes, E'\n'),
        'outbox', v_outbox,
        'events', array_to_string(v_events, E'\n        union all\n'),
        -- A map rather than a join, which an estimate of one row would make a nested loop.
        'order', case when p_selection = 'groups' then recovery._render_sql($sql$
            order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
                      -> x.grp)::bigint, x.pos, x.ord
        $sql$, '{}') else '' end,
        'counts', array_to_string(v_counts, E'\n    union all\n    ')));
end
$$;

comment on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) is
    'Builds the statement that closes (or hands over) one batch of a family together with its events.';

revoke all on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) from public;
