create or replace function recovery._tell_gone_rows(
    p_watch recovery.watch, p_detector text, p_since bigint, out o_done boolean, out o_first bigint
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set jit = off
set work_mem = '32MB'
as $$
/* Rows that the events call open and the table does not have. By the events, because there is nothing else to ask:
   who truncates or drops a partition takes the rows along, and a detached one may be closed to us.
   Three statements: each sees what was committed before it, so a row that was written after the first has its event
   in the sight of the third, which leaves it out. Nested loops are off: nobody can estimate what is gone. */
declare
    v_kinds constant text[] := array['opened', 'reopened', 'adopted', 'closed', 'requeued', 'deleted'];
    v_parts constant integer := cardinality(p_watch.key_columns);
    v_ids   bigint[];
    v_found jsonb;
    v_task  recovery.task;
    -- Of what was dropped a part may be left, an opening without its closing.
    v_since bigint := greatest(p_since, (select f.id + 1 from recovery.event_floor as f));
begin
    o_done := true;
    if p_watch.events = 'closed' then
        return;  -- nobody was told that they were open
    end if;
    select array_agg(e.id order by e.id), array_agg(e.key order by e.id), min(e.id)
    into v_ids, v_task.keys, o_first
    from (
        select l.key, max(l.id) as id
        from recovery.event_range(v_since) as l
        where l.watch = p_watch.name and l.kind = any (v_kinds)
          and (v_parts = 1 or case when l.key like '[%' then jsonb_array_length(l.key::jsonb) end = v_parts)
        group by l.key
        having max(l.id) = max(l.id) filter (where l.kind in ('opened', 'reopened', 'adopted'))
    ) as e;
    -- Most are open as they should be. What is left is looked up key by key, for an estimate must not make it read the
    -- table, and a part a sweep: any, so that rows which were closed unseen don't keep the others from their turn.
    select f.* into v_found from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
        with o as materialized (select {key} as key from {relation} as r where ({open})),
        k as materialized (
            select k.key, k.n from unnest(($1).keys) with ordinality as k (key, n)
            where not exists (select from o where o.key = k.key) order by random() limit 5000
        )
        select jsonb_build_object('looked', (select count(*) from k), 'gone', (
            select jsonb_agg(k.n) from k where (select true from {relation} as r where {same} limit 1) is null))
        $sql$, jsonb_build_object(
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'open', p_watch.open,
        'relation', p_watch.relation,
        'same', (
            select string_agg(format('r.%I = (%s)::%s', c.name,
                case v_parts when 1 then 'k.key' else format('k.key::jsonb ->> %s', c.n - 1) end,
                p_watch.key_types[c.n]), ' and ' order by c.n)
            from unnest(p_watch.key_columns) with ordinality as c (name, n)))), v_task) as f;
    insert into recovery.outbox (server_epoch, watch, kind, topic, key, group_key, reason, detector, old)
    select e.server_epoch, e.watch, 'deleted', e.topic, e.key, e.group_key, 'row_gone', p_detector, e.new
    from unnest(recovery._to_texts(v_found -> 'gone')::bigint[]) as g (n)
    join recovery.event_range(v_since) as e on e.id = v_ids[g.n]
    where not exists (
        select from recovery.event_range(v_since) as l
        where l.watch = e.watch and l.key = e.key and l.id > e.id and l.kind = any (v_kinds))
    order by e.id;
    o_done := (v_found ->> 'looked')::integer < 5000;
end
$$;

comment on function recovery._tell_gone_rows(recovery.watch, text, bigint) is
    'Writes an event "deleted" for each row that was told as open and is in the table no more, by the events from '
    'p_since on. Not done: there may be more of them. First: the oldest event that calls a row open. A row of the '
    'same key that somebody inserts at this very moment may be told before its predecessor''s end.';

revoke all on function recovery._tell_gone_rows(recovery.watch, text, bigint) from public;
