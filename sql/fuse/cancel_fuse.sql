create or replace function recovery.cancel_fuse(p_fuse bigint)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from recovery.fuse as f where f.id = p_fuse;
    return found;
end
$$;

comment on function recovery.cancel_fuse(bigint) is
    'Puts a fuse out, at the stop of its work. False if it was not there any more.';

revoke all on function recovery.cancel_fuse(bigint) from public;
