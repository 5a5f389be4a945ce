create or replace function recovery.horizon()
returns table (last_id bigint, xmin xid8, mark xid8)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- The snapshot is taken before the mark is: who holds an id up to last_id had a transaction id before
    -- it, and so below the mark. The snapshot's own xmax would not do, it ends at the newest transaction
    -- that has finished.
    select coalesce((select max(id) from recovery.event), 0), pg_snapshot_xmin(pg_current_snapshot()),
        pg_current_xact_id()
$$;

comment on function recovery.horizon() is
    'For consumers: the highest visible event id, the oldest transaction still running, and a mark. Ids missing up to '
    'last_id belong to transactions below the mark: once a later xmin has reached it, what is still missing was '
    'rolled back. Takes a transaction id.';

revoke all on function recovery.horizon() from public;
