create or replace function recovery.untrack_process(p_id bigint)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from recovery.process as p where p.id = p_id;
    return found;
end
$$;

comment on function recovery.untrack_process(bigint) is
    'Forgets a process, at the end of its work. False if it was not there any more.';

revoke all on function recovery.untrack_process(bigint) from public;
