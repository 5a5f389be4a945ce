create or replace function recovery._requeue_sql(p_watch recovery.watch, p_close jsonb, p_requeue jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.attempts is null then
        return (select jsonb_object_agg(s.key, recovery._attempt_sql(s.value, 'null::integer'))
                from jsonb_each_text(p_close) as s);
    end if;
    -- While attempts are left the row goes back to the queue; the last one fails, and says so.
    return (
        select jsonb_object_agg(a.attname, recovery._attempt_sql(recovery._render_sql(
                   'case when {retries} then {requeue} else {close} end',
                   jsonb_build_object(
                       'retries', recovery._retries_sql(p_watch, 'c.reason'),
                       'requeue', case a.attname when p_watch.not_before then recovery._not_before_sql(p_watch)
                           else coalesce(p_requeue ->> a.attname, format('r.%I', a.attname)) end,
                       'close', coalesce(recovery._gave_up_sql(p_close ->> a.attname, p_watch.max_attempts),
                                         format('r.%I', a.attname)))),
                   format('(coalesce(r.%I, 0) + 1)::integer', p_watch.attempts)))
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum > 0
          and (p_close ? a.attname or p_requeue ? a.attname or a.attname = p_watch.not_before)
    ) || jsonb_build_object(p_watch.attempts, case p_watch.free_reasons
        when '{}' then format('coalesce(r.%I, 0) + 1', p_watch.attempts)
        else format('coalesce(r.%I, 0) + case when c.reason = any(%L::text[]) then 0 else 1 end',
            p_watch.attempts, p_watch.free_reasons::text) end);
end
$$;

comment on function recovery._requeue_sql(recovery.watch, jsonb, jsonb) is
    'What a closing sets where work is set back to its queue until a number of attempts, of what was compiled for '
    'close and requeue: column -> compiled expression.';

revoke all on function recovery._requeue_sql(recovery.watch, jsonb, jsonb) from public;
