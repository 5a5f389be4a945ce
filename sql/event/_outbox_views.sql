create or replace function recovery._outbox_views(p_outbox integer)
returns text[]
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array[format('recovery.outbox_%s', p_outbox), format('recovery.outbox_%s_single', p_outbox)]
$$;

comment on function recovery._outbox_views(integer) is
    'The views by which a family''s runner may insert events.';

revoke all on function recovery._outbox_views(integer) from public;
