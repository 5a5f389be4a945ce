create or replace function recovery._broken_watches()
returns table (watch text, problem text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
begin
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position, w.name loop
        begin
            perform recovery._rehearse_watch(v_watch.relation);
        exception when others then
            watch := v_watch.name;
            problem := sqlerrm;
            return next;
        end;
    end loop;
end
$$;

comment on function recovery._broken_watches() is
    'Watches whose statements cannot be planned now: something that their expressions use is gone, or a right. '
    'Nothing is executed.';

revoke all on function recovery._broken_watches() from public;
