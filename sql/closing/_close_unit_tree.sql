create or replace function recovery._close_unit_tree(
    p_watch text, p_scope text, p_key text, p_reason text, p_detector text,
    p_lock_wait interval default interval '2 seconds',
    p_force boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_child  text;
    v_closed jsonb := '{}';
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch;
    v_child := case p_scope when 'row' then recovery._child_group(v_watch, p_key) end;
    if v_child is not null then
        -- Cancelling cascades to what the row waits for.
        v_closed := recovery._close_unit(p_watch, 'group', v_child, p_reason, p_detector, p_lock_wait, p_force);
    end if;
    return recovery._add_counts(v_closed,
        recovery._close_unit(p_watch, p_scope, p_key, p_reason, p_detector, p_lock_wait, p_force));
end
$$;

comment on function recovery._close_unit_tree(text, text, text, text, text, interval, boolean) is
    'Closes a row or group, whoever owns it, with the group that the row waits for and all descendants. Counts per '
    'watch.';

revoke all on function recovery._close_unit_tree(text, text, text, text, text, interval, boolean) from public;
