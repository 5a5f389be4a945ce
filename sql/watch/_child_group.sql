create or replace function recovery._child_group(p_watch recovery.watch, p_key text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_child jsonb;
    v_task  recovery.task;
begin
    if p_watch.child is not null then
        v_task.key := p_key;
        select c.* into v_child from recovery._run_as_owner(p_watch.runner, recovery._render_sql(
            'select to_jsonb(({child})::text) from {relation} as r where {key} = ($1).key',
            jsonb_build_object('child', p_watch.child, 'relation', p_watch.relation,
                               'key', recovery._key_text(p_watch.key_columns, 'r'))), v_task) as c;
    end if;
    return v_child #>> '{}';
end
$$;

comment on function recovery._child_group(recovery.watch, text) is
    'The group that a row waits for (a subagent''s session), or null.';

revoke all on function recovery._child_group(recovery.watch, text) from public;
