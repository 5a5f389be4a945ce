create or replace function recovery._disown_rows(p_family text, p_epoch bigint, p_limit integer)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_count bigint;
    v_task  recovery.task;
    v_total bigint := 0;
begin
    perform recovery._check_fresh();
    if not exists (select from recovery.server as s where s.epoch = p_epoch
        and (s.ended is not null or s.pending is not null))
    then
        perform recovery._fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch),
            'Only rows of ended epochs are let go.');
    end if;
    v_task.epoch := p_epoch;
    v_task.max_rows := p_limit;
    for v_watch in
        select w.* from recovery._attached_watches() as w where w.family = p_family and w.only_if is not null
    loop
        begin
            v_task.path := v_watch.path;
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                with u as (
                    update {relation} as r set server_epoch = null
                    where r.ctid = any(array(
                        select r.ctid from {relation} as r
                        where r.server_epoch = ($1).epoch and ({open}) and ({only_if}) is not true
                        limit ($1).max_rows for update skip locked)) and r.server_epoch = ($1).epoch
                    returning 1
                )
                select to_jsonb(count(*)) from u
                $sql$, jsonb_build_object(
                'relation', v_watch.relation,
                'open', v_watch.open,
                'only_if', v_watch.only_if)), v_task, 'write') as n;
            v_total := v_total + v_count;
        exception when others then
            null;  -- only_if fails for some row: nothing is let go
        end;
    end loop;
    return v_total;
end
$$;

comment on function recovery._disown_rows(text, bigint, integer) is
    'Lets go of rows of an ended epoch that are open but not orphans by the watch''s only_if, so that no later boot '
    'looks at them again.';

revoke all on function recovery._disown_rows(text, bigint, integer) from public;
