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
    if not exists (select from recovery.server as s where s.epoch = p_epoch and (s.ended is not null or s.pending is not null)) then
        perform recovery._fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch), 'Only rows of ended epochs are let go.');
    end if;
    v_task.epoch := p_epoch;
    v_task.max_rows := p_limit;
    for v_watch in select w.* from recovery._attached_watches() as w where w.family = p_family and w.only_if is not null loop
        begin
            v_task.path := v_watch.path;
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, format(
                'with u as (update %1$s as r set server_epoch = null where r.ctid = any(array(select r.ctid from %1$s as r where r.server_epoch = ($1).epoch and (%2$s) and (%3$s) is not true limit ($1).max_rows for update skip locked)) and r.server_epoch = ($1).epoch returning 1) select to_jsonb(count(*)) from u',
                v_watch.relation, v_watch.open, v_watch.only_if), v_task, 'write') as n;
            v_total := v_total + v_count;
        exception when others then
            null;  -- only_if fails for some row: nothing is let go
        end;
    end loop;
    return v_total;
end
$$;

comment on function recovery._disown_rows(text, bigint, integer) is
    'Lets go of rows of an ended epoch that are open but not orphans by the watch''s only_if, so that no later boot looks at them again.';

revoke all on function recovery._disown_rows(text, bigint, integer) from public;
