create or replace function recovery.open_work()
returns table (watch text, server_epoch bigint, open_rows bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_sql   text;
begin
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position, w.name loop
        v_sql := format('select jsonb_build_array(r.server_epoch, count(*)) from %s as r where (%s)', v_watch.relation,
            v_watch.open);
        begin
            return query select v_watch.name, (f.row ->> 0)::bigint, (f.row ->> 1)::bigint
                from recovery._run_as_owner(v_watch.runner, v_sql || coalesce(' and (' || v_watch.only_if || ')', '')
                    || ' group by r.server_epoch') as f (row);
        exception when others then
            begin
                return query select v_watch.name, (f.row ->> 0)::bigint, (f.row ->> 1)::bigint
                    from recovery._run_as_owner(v_watch.runner, v_sql || ' group by r.server_epoch') as f (row);
            exception when others then
                null;  -- broken: nothing is known of its rows
            end;  -- only_if fails for some row
        end;
    end loop;
end
$$;

comment on function recovery.open_work() is 'Open rows per watch and owner; its cost follows the open rows.';

revoke all on function recovery.open_work() from public;
