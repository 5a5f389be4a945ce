create or replace function recovery._drop_outbox(p_outbox integer)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('drop view if exists %s', array_to_string(recovery._outbox_views(p_outbox), ', '));
end
$$;

comment on function recovery._drop_outbox(integer) is 'Drops the views by which a family''s runner inserted events.';

revoke all on function recovery._drop_outbox(integer) from public;
