create or replace function recovery._add_owner_column(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_watch.own_column and not exists (
        select from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
    then
        execute format('alter table %s add column server_epoch bigint', p_watch.relation);
        execute format('comment on column %s.server_epoch is %L', p_watch.relation,
            'pg-recovery: epoch of the server that owns the row.');
    end if;
end
$$;

comment on function recovery._add_owner_column(recovery.watch) is
    'Adds server_epoch to the table of a watch, unless it is there.';

revoke all on function recovery._add_owner_column(recovery.watch) from public;
