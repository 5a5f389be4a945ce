create or replace function recovery._forget_dropped()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation))
        and pg_try_advisory_xact_lock(hashtextextended('recovery.attach', 0))
    then
        delete from recovery.watch as w where not exists (select from pg_class as c where c.oid = w.relation);
    end if;
end
$$;

comment on function recovery._forget_dropped() is
    'Step of a boot, a sweep and an attach: removes what was made for tables that were dropped. Their events stay.';

revoke all on function recovery._forget_dropped() from public;
