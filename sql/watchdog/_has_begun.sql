create or replace function recovery._has_begun(p_unit recovery.unit, p_after timestamptz)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_begun boolean := false;
    v_task  recovery.task;
begin
    v_task.key := p_unit.key;
    v_task.since := p_after;
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_unit.family and w.group_by is not null and w.started is not null
    loop
        select b.* into v_begun from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select to_jsonb(exists (
                select from {relation} as r
                where ({group}) = ($1).key::{type} and ({open}) and ({started}) > ($1).since))
            $sql$, jsonb_build_object(
            'relation', v_watch.relation,
            'group', v_watch.group_by,
            'type', v_watch.group_type,
            'open', v_watch.open,
            'started', v_watch.started)), v_task) as b;
        exit when v_begun;
    end loop;
    return v_begun;
end
$$;

comment on function recovery._has_begun(recovery.unit, timestamptz) is
    'Whether a group has open work that began after a point in time.';

revoke all on function recovery._has_begun(recovery.unit, timestamptz) from public;
