create or replace function recovery.drop_consumer(p_name text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._find_consumer(p_name);
    delete from recovery.consumer as c where c.name = p_name;
end
$$;

comment on function recovery.drop_consumer(text) is
    'Forgets a consumer and its position: events are no longer kept for it. RC014 no such consumer.';

revoke all on function recovery.drop_consumer(text) from public;
