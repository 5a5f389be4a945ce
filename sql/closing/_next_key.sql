create or replace function recovery._next_key(p_family text, p_epoch bigint, p_after text[], p_limit integer)
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_key   jsonb;
begin
    select w.* into strict v_watch from recovery._attached_watches() as w where w.family = p_family;
    -- The text of the key is made for one row, not for those that are stepped over.
    v_task.epoch := p_epoch;
    v_task.keys := p_after;
    v_task.max_rows := p_limit;
    v_task.at := recovery._now();
    select k.* into v_key from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        select to_jsonb({parts})
        from (
            select {columns}
            from {relation} as r
            where {closable} and {after}
            order by {columns}
            offset ($1).max_rows - 1 limit 1
        ) as r
        $sql$, jsonb_build_object(
        'parts', recovery._key_sql(v_watch, 'parts'),
        'columns', recovery._key_sql(v_watch, 'columns'),
        'relation', v_watch.relation,
        'closable', recovery._closable_sql(
            v_watch, case when p_epoch is null then 'none' else 'epoch' end, 'ignore', false),
        'after', recovery._key_sql(v_watch, 'between'))), v_task) as k;
    return recovery._to_texts(v_key);
end
$$;

comment on function recovery._next_key(text, bigint, text[], integer) is
    'Key of the p_limit-th open row after a key: where a batch of a watch without groups ends. Null: it takes all '
    'that is left.';

revoke all on function recovery._next_key(text, bigint, text[], integer) from public;
