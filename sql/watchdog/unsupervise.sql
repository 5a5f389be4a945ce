create or replace function recovery.unsupervise(p_table regclass)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_watch  recovery.watch;
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')),
            'Attach it first: recovery.attach.');
    elsif v_watch.supervised is not null then
        -- Forgotten: by the triggers of recovery.watch.
        update recovery.watch as w set supervised = null where w.relation = p_table;
        execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
    end if;
    return v_watch.name;
end
$$;

comment on function recovery.unsupervise(regclass) is
    'Takes a watch from the watchdog: what recovery.supervise was told is forgotten, and only wall_timeout and '
    'idle_timeout count. Returns the name; repeating it does nothing. RC008 not watched.';

revoke all on function recovery.unsupervise(regclass) from public;
