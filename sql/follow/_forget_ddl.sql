create or replace function recovery._forget_ddl()
returns event_trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._forget_dropped();
exception when others then
    raise warning 'recovery: %', sqlerrm;
end
$$;

comment on function recovery._forget_ddl() is
    'Event trigger behind a DROP: nothing is left of a watch on a dropped table.';

revoke all on function recovery._forget_ddl() from public;
