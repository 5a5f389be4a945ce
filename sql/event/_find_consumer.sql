create or replace function recovery._find_consumer(p_name text)
returns recovery.consumer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_consumer recovery.consumer;
begin
    select c.* into v_consumer from recovery.consumer as c where c.name = p_name for no key update;
    if not found then
        perform recovery._fail('RC014',
            format('there is no consumer %s', coalesce(quote_literal(left(p_name, 200)), 'null')),
            'Make it with recovery.create_consumer(); recovery.consumer_status lists what there is.');
    end if;
    return v_consumer;
end
$$;

comment on function recovery._find_consumer(text) is 'The row of a consumer, locked. RC014: there is none.';

revoke all on function recovery._find_consumer(text) from public;
