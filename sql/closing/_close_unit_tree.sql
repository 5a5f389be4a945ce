create or replace function recovery._close_unit_tree(
    p_unit recovery.unit, p_reason text, p_detector text, p_lock_wait interval default interval '2 seconds',
    p_force boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := recovery._watch_of_unit(p_unit);
    v_child  recovery.unit;
    v_closed jsonb := '{}';
begin
    if p_unit.scope = 'row' then
        v_child := (v_watch.family, 'group', v_watch.name, recovery._child_group(v_watch, p_unit.key));
    end if;
    if v_child.key is not null then
        -- Cancelling cascades to what the row waits for.
        v_closed := recovery._close_unit(v_child, p_reason, p_detector, p_lock_wait, p_force);
    end if;
    return recovery._add_counts(v_closed, recovery._close_unit(p_unit, p_reason, p_detector, p_lock_wait, p_force));
end
$$;

comment on function recovery._close_unit_tree(recovery.unit, text, text, interval, boolean) is
    'Closes a unit, whoever owns it, with the group that the row waits for and all descendants. Counts per watch.';

revoke all on function recovery._close_unit_tree(recovery.unit, text, text, interval, boolean) from public;
