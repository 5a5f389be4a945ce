create or replace function recovery.open_work()
returns table (watch text, server_epoch bigint, open_rows bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
begin
    for v_watch in select w.* from recovery.watch as w order by w.family, w.position, w.name loop
        return query execute format('select %L::text, r.server_epoch, count(*) from %s as r where (%s)%s group by r.server_epoch',
            v_watch.name, v_watch.relation, v_watch.open,
            case when v_watch.only_if is null then '' else format(' and (%s)', v_watch.only_if) end);
    end loop;
end
$$;

comment on function recovery.open_work() is 'Open rows per watch and owner; its cost follows the open rows.';

revoke all on function recovery.open_work() from public;
