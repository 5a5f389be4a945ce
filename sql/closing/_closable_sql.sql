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
        case
            when p_owner = 'epoch' then 'r.server_epoch = ($1).epoch'
            when p_owner = 'none' then 'r.server_epoch is null and ($1).epoch is null and '
                || case when p_watch.unowned is null then 'false'
                        else format('(%s) < ($1).at - %L::interval', p_watch.started, p_watch.unowned) end
            when p_owner = 'named' then 'r.server_epoch is null and '
                || coalesce(format('(%s) = ($1).key', p_watch.owner), 'false')
            when p_owner in ('any', 'lifeless') then
                '($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)' end,
        format('(%s)', p_watch.open),
        case when p_owner = 'lifeless' then case when p_watch.alive is null then 'false' else recovery._render_sql(
            '($1).key = {watch!l} and {key} = any(($1).marked)',
            jsonb_build_object('watch', p_watch.name, 'key', recovery._key_text(p_watch.key_columns, 'r'))) end end,
        case when p_only and p_watch.only_if is not null then format('(%s)', p_watch.only_if) end,
        case when p_watch.launch_grace is not null and p_owner not in ('any', 'named') and p_guard <> 'with'
            then format('((%s) >= ($1).at - %L::interval) is not true', p_watch.started, p_watch.launch_grace) end,
        case when p_watch.owner is not null then case p_owner
            when 'epoch' then recovery._no_sibling_sql(p_watch)
            when 'none' then format('not (%s)', recovery._is_named_sql(p_watch)) end end,
        case p_guard
            when 'with' then format('(%s)', concat_ws(' or ', recovery._guard_sql(p_watch),
                case when p_owner = 'epoch' then recovery._life_sql(p_watch, 'guards') end))
            when 'without' then format('not (%s)', concat_ws(' or ', recovery._guard_sql(p_watch),
                case p_owner when 'epoch' then recovery._life_sql(p_watch, 'spares')
                             when 'none' then recovery._life_sql(p_watch, 'spares') end)) end,
        case p_owner
            when 'any' then recovery._life_sql(p_watch, 'agrees')
            when 'lifeless' then recovery._life_sql(p_watch, 'dead') end)
$$;

comment on function recovery._closable_sql(recovery.watch, text, text, boolean) is
    'The condition for a row to close: open, meant by the watch, owned by the task''s epoch (or by none; or by any of '
    'its epochs; lifeless: and among those that alive was found false for, and still is; named: by none, for the '
    'server whose name is the task''s key), not too young; p_guard: ignore fuses and signs of life, only rows '
    'without, or only those with an active one; p_only false: also rows that the watch does not mean. The open '
    'predicate stands literally, so that the partial index serves it.';

revoke all on function recovery._closable_sql(recovery.watch, text, text, boolean) from public;
