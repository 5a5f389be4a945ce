create or replace function recovery.supervise(
    p_table    regclass,
    p_kind     text default null,
    p_activity text default null,
    p_timeout  text default null,
    p_hold     text default null,
    p_child    text default null,
    p_cancel   text default 'row',
    p_started  text default null
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
    v_spec   jsonb;
    v_schema regnamespace;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')), 'Attach it first: recovery.attach.');
    end if;
    v_spec := jsonb_build_object('kind', p_kind, 'activity', p_activity, 'timeout', p_timeout, 'hold', p_hold, 'child', p_child,
        'cancel', p_cancel, 'started', coalesce(p_started, v_watch.supervised ->> 'started'));
    if v_watch.supervised = v_spec then
        return v_watch.name;
    end if;
    if p_cancel is null or p_cancel not in ('row', 'group') then
        perform recovery._fail('RC006', format('cancel %s of %s is not known', coalesce(quote_literal(p_cancel), 'null'), p_table), 'Allowed are row and group.');
    elsif p_cancel = 'group' and v_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no group to cancel', p_table), 'Attach it with p_group, or cancel rows.');
    elsif p_child is not null and v_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no groups, so a row cannot wait for one', p_table), 'Attach it with p_group.');
    elsif coalesce(v_spec ->> 'started', v_watch.spec ->> 'started') is null then
        perform recovery._fail('RC006', format('the watchdog needs to know when work of %s started', p_table), 'Give p_started, such as created_at.');
    end if;
    update recovery.watch as w set supervised = v_spec where w.relation = p_table returning w.* into v_watch;
    select c.relnamespace into v_schema from pg_class as c where c.oid = p_table;
    execute format('drop index if exists %s.recovery_started_%s', v_schema, v_watch.id);
    perform recovery._complete_watch(v_watch);
    return v_watch.name;
end
$$;

comment on function recovery.supervise(regclass, text, text, text, text, text, text, text) is
    'Puts a watch under the watchdog: kind of work, last activity, own timeout, hold, child group, what a timeout cancels (row or group), start. Timeouts themselves are settings (recovery.configure). Doing it again replaces it. RC006 cannot work, RC008 not watched.';

revoke all on function recovery.supervise(regclass, text, text, text, text, text, text, text) from public;
