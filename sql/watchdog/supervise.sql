create or replace function recovery.supervise(
    p_table    regclass,
    p_kind     text default null,   -- text: kind of the work, by which settings differ
    p_activity text default null,   -- timestamptz: when the row last moved
    p_timeout  text default null,   -- interval: the row's own timeout, before any setting
    p_hold     text default null,   -- condition: it waits for a human or a point in time, and no clock runs
    p_child    text default null,   -- the group (session) that it waits for
    p_cancel   text default 'row',  -- what a timeout closes: row, or group with all descendants
    p_started  text default null    -- timestamptz, immutable: when it began; by default as recovery.attach was told
)
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
    v_given  jsonb;
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_table);
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')),
            'Attach it first: recovery.attach.');
    end if;
    v_given := jsonb_build_object(
        'kind', p_kind, 'activity', p_activity, 'timeout', p_timeout, 'hold', p_hold, 'child', p_child,
        'cancel', p_cancel, 'started', coalesce(p_started, v_watch.supervised ->> 'started'));
    if v_watch.supervised = v_given then
        perform set_config('recovery.attaching', '', true);
        return v_watch.name;
    end if;
    -- Check and compile: by the triggers of recovery.watch.
    update recovery.watch as w set supervised = v_given where w.relation = p_table returning w.* into v_watch;
    if v_watch.attached is null then
        return v_watch.name;  -- recovery.attach_steps makes the rest
    end if;
    -- Index, rehearsal.
    execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
    perform recovery._complete_watch(v_watch);
    perform set_config('recovery.attaching', '', true);
    return v_watch.name;
end
$$;

comment on function recovery.supervise(regclass, text, text, text, text, text, text, text) is
    'Puts a watch under the watchdog: kind of work, last activity, own timeout, hold, child group, what a timeout '
    'cancels (row or group), start. Timeouts themselves are settings (recovery.configure). Doing it again replaces it. '
    'RC006 cannot work, RC008 not watched.';

revoke all on function recovery.supervise(regclass, text, text, text, text, text, text, text) from public;
