create or replace function recovery.fence_closed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.refuse_late(old.server_epoch, new.server_epoch, tg_relid);
    perform recovery.admit(null, false);
    return null;
end
$$;

comment on function recovery.fence_closed() is 'Trigger function for every change of a closed row: its writer must be live. RC001, RC002, RC013.';

revoke all on function recovery.fence_closed() from public;
