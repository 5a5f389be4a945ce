create or replace function recovery._ring_sql(p_watch recovery.watch, p_kind text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    -- The bell: at most one NOTIFY in 50 ms, because NOTIFY serialises the commits of the whole cluster.
    select case p_watch.events when 'closed' then '' else recovery._render_sql($sql$
        if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
               - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
            perform recovery._announce_written({kind});
        end if;
    $sql$, jsonb_build_object('kind', p_kind)) end
$function$;

comment on function recovery._ring_sql(recovery.watch, text) is
    'The end of a trigger function that has written an event: wakes the listeners. p_kind says what it was, as SQL.';

revoke all on function recovery._ring_sql(recovery.watch, text) from public;
