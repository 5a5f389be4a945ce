create or replace function recovery._closable_sql(
    p_watch recovery.watch, p_owner text, p_guard text, p_only boolean default true
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(E'\n      and ',
        case p_owner
            when 'epoch' then 'r.server_epoch = ($1).epoch'
            when 'none' then 'r.server_epoch is null and ($1).epoch is null and ' || case when p_watch.unowned is null
                then 'false'
                else format('(%s) < ($1).at - %L::interval', p_watch.started, p_watch.unowned) end
            when 'any' then '($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)' end,
        format('(%s)', p_watch.open),
        case when p_only and p_watch.only_if is not null then format('(%s)', p_watch.only_if) end,
        case when p_watch.launch_grace is not null and p_owner <> 'any' and p_guard <> 'with'
            then format('((%s) >= ($1).at - %L::interval) is not true', p_watch.started, p_watch.launch_grace) end,
        case p_guard
            when 'with' then format('(%s)', recovery._guard_sql(p_watch))
            when 'without' then format('not (%s)', recovery._guard_sql(p_watch)) end)
$$;

comment on function recovery._closable_sql(recovery.watch, text, text, boolean) is
    'The condition for a row to close: open, meant by the watch, owned by the task''s epoch (or by none; or by any of '
    'its epochs), not too young; p_guard: ignore fuses, only rows without, or only with an active one; p_only false: '
    'also rows that the watch does not mean. The open predicate stands literally, so that the partial index serves it.';

revoke all on function recovery._closable_sql(recovery.watch, text, text, boolean) from public;
