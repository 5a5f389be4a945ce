create or replace function recovery._attached_watches()
returns setof recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.* from recovery.watch as w
    where w.attached is not null and exists (select from pg_class as c where c.oid = w.relation)
$$;

comment on function recovery._attached_watches() is
    'The watches that are in force: not those that are being attached or detached, nor those whose table was dropped '
    'without recovery.detach, which harms no other.';

revoke all on function recovery._attached_watches() from public;
