create or replace function recovery._not_before_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Jitter takes up to half of it away: what broke together does not come back together, and the cap holds. In
    -- seconds, as no interval is that long; what an ordered stop has interrupted waits for nothing.
    select recovery._render_sql(
        'case when {free} then r.{column!i} else c.at + make_interval(secs => least({first}::double precision'
        ' * 2 ^ least(coalesce(r.{attempts!i}, 0), 62), {longest}) * (0.5 + random() / 2)) end',
        jsonb_build_object(
            'free', format('c.reason = any(%L::text[])', p_watch.free_reasons::text),
            'column', p_watch.not_before,
            'first', extract(epoch from (p_watch.spec ->> 'backoff')::interval),
            'longest', extract(epoch from (p_watch.spec ->> 'max_backoff')::interval),
            'attempts', p_watch.attempts))
$$;

comment on function recovery._not_before_sql(recovery.watch) is
    'When a requeue lets the queue take the row again: twice as long after each attempt, up to a longest time, with '
    'jitter.';

revoke all on function recovery._not_before_sql(recovery.watch) from public;
