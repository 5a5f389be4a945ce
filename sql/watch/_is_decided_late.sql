create or replace function recovery._is_decided_late(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped and a.attgenerated <> ''
          and (a.attnum = any(p_watch.open_columns) or p_watch.open ~ '\mr\.\*'))
$$;

comment on function recovery._is_decided_late(recovery.watch) is
    'Whether the open predicate reads a generated column: PostgreSQL computes it after the BEFORE triggers, which do '
    'not know yet whether the row is open.';

revoke all on function recovery._is_decided_late(recovery.watch) from public;
