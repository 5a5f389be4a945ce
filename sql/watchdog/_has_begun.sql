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
        select b.* into v_begun from recovery._run_as_owner(v_watch.runner, format('select to_jsonb(exists (select from %s as r where (%s) = ($1).key::%s and (%s) and (%s) > ($1).since))',
            v_watch.relation, v_watch.group_by, v_watch.group_type, v_watch.open, v_watch.started), v_task) as b;
        exit when v_begun;
    end loop;
    return v_begun;
end
$$;

comment on function recovery._has_begun(recovery.unit, timestamptz) is
    'Whether a group has open work that began after a point in time.';

revoke all on function recovery._has_begun(recovery.unit, timestamptz) from public;
