create or replace function recovery.horizon()
returns table (last_id bigint, xmin xid8, xmax xid8)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select max(id) from recovery.event), 0),
           pg_snapshot_xmin(pg_current_snapshot()),
           pg_snapshot_xmax(pg_current_snapshot())
$$;

comment on function recovery.horizon() is
    'Highest visible event id and the bounds of the same snapshot. Ids missing up to last_id belong to transactions below xmax: once a later xmin has reached that xmax, what is still missing was rolled back.';

revoke all on function recovery.horizon() from public;
