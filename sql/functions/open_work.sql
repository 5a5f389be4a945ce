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
    for v_watch in select w.* from recovery.attached() as w order by w.family, w.position, w.name loop
        v_sql := format('select %L::text, r.server_epoch, count(*) from %s as r where (%s)', v_watch.name, v_watch.relation, v_watch.open);
        begin
            return query execute v_sql || coalesce(' and (' || v_watch.only_if || ')', '') || ' group by r.server_epoch';
        exception when others then
            return query execute v_sql || ' group by r.server_epoch';  -- only_if fails for some row
        end;
    end loop;
end
$$;

comment on function recovery.open_work() is 'Open rows per watch and owner; its cost follows the open rows.';

revoke all on function recovery.open_work() from public;
