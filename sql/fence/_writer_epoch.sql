create or replace function recovery._writer_epoch()
returns bigint
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select nullif(current_setting('recovery.server_epoch', true), '')::bigint
$$;

comment on function recovery._writer_epoch() is
    'Epoch of the server that writes, from the setting recovery.server_epoch; null: not a server.';

revoke all on function recovery._writer_epoch() from public;
