create or replace function recovery._event_sql(
    p_watch recovery.watch, p_row text, p_kind text, p_old text, p_new text, p_diff boolean, p_live boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_from text := '';
begin
    if p_live then
        v_from := recovery._render_sql($sql$
                from recovery.server as s
        {difference}
                where s.epoch = {row}.server_epoch and s.ended is null and s.pending is null and s.drain_until is null
        $sql$, jsonb_build_object('row', p_row, 'difference', case when p_diff
            then format('        cross join lateral recovery._json_difference(%s, %s) as d', p_old, p_new)
                else '' end));
    elsif p_row = 'r' then
        v_from := format('        from @TABLE@ as r where %s', p_watch.open);
    elsif p_diff then
        v_from := format('        from recovery._json_difference(%s, %s) as d', p_old, p_new);
    end if;
    if p_watch.events = 'closed' then
        return case when p_live then '        perform ' || ltrim(v_from) || ';' else '' end;
    end if;
    return recovery._render_sql($sql$
            insert into recovery.outbox_{outbox}_single
                (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
            select {row}.server_epoch, {watch!l}, {kind}, {topic!l}, {key}, {group},
                   nullif(current_setting('recovery.reason', true), ''), 'writer', {values}{from};
    $sql$, jsonb_build_object(
        'outbox', p_watch.outbox,
        'row', p_row,
        'watch', p_watch.name,
        'kind', p_kind,
        'topic', p_watch.topic,
        'key', recovery._row_key_sql(p_watch, p_row),
        'group', coalesce('(' || recovery._realias_sql(p_watch.group_by, p_row) || ')::text', 'null'),
        'values', case when p_diff then 'd.old, d.new' else p_old || ', ' || p_new end,
        'from', case v_from when '' then '' else E'\n' || v_from end));
end
$function$;

comment on function recovery._event_sql(recovery.watch, text, text, text, text, boolean, boolean) is
    'The statement of a trigger function that writes an event of the row old, new or r (every open one): p_live only '
    'if its epoch lives, p_diff only what differs. Nothing for a watch that tells only what recovery does.';

revoke all on function recovery._event_sql(recovery.watch, text, text, text, text, boolean, boolean) from public;
