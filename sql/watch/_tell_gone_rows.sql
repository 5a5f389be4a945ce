create or replace function recovery._tell_gone_rows(p_watch recovery.watch, p_detector text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Rows that the events call open and the table does not have. By the events, because there is nothing else to ask:
   who truncates or drops a partition takes the rows along, and a detached one may be closed to us.
   Three statements: each sees what was committed before it, so a row that was written after the first has its event
   in the sight of the third, which leaves it out. */
declare
    v_kinds constant text[] := array['opened', 'reopened', 'adopted', 'closed', 'requeued', 'deleted'];
    v_parts constant integer := cardinality(p_watch.key_columns);
    v_ids   bigint[];
    v_gone  jsonb;
    v_task  recovery.task;
    v_count bigint;
begin
    if p_watch.events = 'closed' then
        return 0;  -- nobody was told that they were open
    end if;
    select array_agg(e.id order by e.id), array_agg(e.key order by e.id) into v_ids, v_task.keys
    from recovery.event as e
    where e.id in (
        select max(l.id) from recovery.event as l where l.watch = p_watch.name and l.kind = any (v_kinds)
        group by l.key)
      and e.kind in ('opened', 'reopened', 'adopted')
      and (v_parts = 1 or case when e.key like '[%' then jsonb_array_length(e.key::jsonb) end = v_parts);
    -- Key by key: an estimate must not make it read the table.
    select g.* into v_gone from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
        select to_jsonb(array_agg(k.n)) from unnest(($1).keys) with ordinality as k (key, n)
        where (select true from {relation} as r where {same} limit 1) is null
        $sql$, jsonb_build_object(
        'relation', p_watch.relation,
        'same', (
            select string_agg(format('r.%I = (%s)::%s', c.name,
                case v_parts when 1 then 'k.key' else format('k.key::jsonb ->> %s', c.n - 1) end,
                p_watch.key_types[c.n]), ' and ' order by c.n)
            from unnest(p_watch.key_columns) with ordinality as c (name, n)))), v_task) as g;
    insert into recovery.event (server_epoch, watch, kind, topic, key, group_key, reason, detector, old)
    select e.server_epoch, e.watch, 'deleted', e.topic, e.key, e.group_key, 'row_gone', p_detector, e.new
    from unnest(recovery._to_texts(v_gone)::bigint[]) as g (n) join recovery.event as e on e.id = v_ids[g.n]
    where not exists (
        select from recovery.event as l
        where l.watch = e.watch and l.key = e.key and l.id > e.id and l.kind = any (v_kinds))
    order by e.id;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

comment on function recovery._tell_gone_rows(recovery.watch, text) is
    'Writes an event "deleted" for each row that was told as open and is in the table no more; so many. For '
    'recovery._note_partitions: it reads all events.';

revoke all on function recovery._tell_gone_rows(recovery.watch, text) from public;
