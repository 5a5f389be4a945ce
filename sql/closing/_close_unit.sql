create or replace function recovery._close_unit(
    p_watch text, p_scope text, p_key text, p_reason text, p_detector text,
    p_lock_wait interval default interval '2 seconds',
    p_force boolean default false,
    out o_closed jsonb
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_groups text[];
    v_key    text[];
    v_guard  text;
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        perform recovery._fail('RC008', format('nothing is watched as %s', coalesce(quote_literal(p_watch), 'null')),
            'See recovery.watch for the names.');
    end if;
    if not p_force and recovery._lives_elsewhere(p_watch, p_scope, p_key) then
        o_closed := '{}';
        return;
    end if;
    if p_scope = 'group' then
        v_groups := recovery._group_tree(v_watch.family, array[p_key], false);
    else
        v_key := recovery._key_parts(v_watch, p_key);
    end if;
    v_guard := case when not p_force and recovery._has_fuses(v_watch.family) then 'without' else 'ignore' end;
    select s.o_closed into o_closed from recovery._close_selection(v_watch.family, 'any', null, v_guard, v_groups,
        case when v_groups is null then p_watch end, v_key, null, 1, p_reason, p_detector, p_lock_wait, false,
            null) as s;
end
$$;

comment on function recovery._close_unit(text, text, text, text, text, interval, boolean) is
    'Closes one row, or one group with its descendants, whoever owns it; what an active fuse guards stays, and a unit '
    'with rows of a publisher, unless p_force. Counts per watch.';

revoke all on function recovery._close_unit(text, text, text, text, text, interval, boolean) from public;
