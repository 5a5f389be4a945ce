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
as $$
declare
    v_watch  recovery.watch;
    v_spec   jsonb;
    v_step   text;
    v_schema text;
    v_state  text;
    v_error  text;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery.fail('RC008', format('%s is not watched', coalesce(p_table::text, 'null')), 'Attach it first: recovery.attach.');
    end if;
    v_spec := jsonb_build_object('kind', p_kind, 'activity', p_activity, 'timeout', p_timeout, 'hold', p_hold, 'child', p_child,
        'cancel', p_cancel, 'started', p_started);
    if v_watch.supervised = v_spec then
        return v_watch.name;
    end if;
    if p_cancel is null or p_cancel not in ('row', 'group') then
        perform recovery.fail('RC006', format('cancel %s of %s is not known', coalesce(quote_literal(p_cancel), 'null'), p_table), 'Allowed are row and group.');
    elsif p_cancel = 'group' and v_watch.group_by is null then
        perform recovery.fail('RC006', format('%s has no group to cancel', p_table), 'Attach it with p_group, or cancel rows.');
    elsif p_child is not null and v_watch.group_by is null then
        perform recovery.fail('RC006', format('%s has no groups, so a row cannot wait for one', p_table), 'Attach it with p_group.');
    elsif coalesce(p_started, v_watch.started) is null then
        perform recovery.fail('RC006', format('the watchdog needs to know when work of %s started', p_table), 'Give p_started, such as created_at.');
    end if;
    begin
        v_step := 'started';
        if p_started is not null then
            v_watch.started := (recovery.compile(p_table, p_started, 'timestamptz')).o_text;
        end if;
        v_step := 'kind';
        v_watch.kind := case when p_kind is not null then (recovery.compile(p_table, p_kind, 'text')).o_text end;
        v_step := 'activity';
        v_watch.activity := case when p_activity is not null then (recovery.compile(p_table, p_activity, 'timestamptz')).o_text end;
        v_step := 'timeout';
        v_watch.timeout := case when p_timeout is not null then (recovery.compile(p_table, p_timeout, 'interval')).o_text end;
        v_step := 'hold';
        v_watch.hold := case when p_hold is not null then (recovery.compile(p_table, p_hold, 'boolean')).o_text end;
        v_step := 'child';
        v_watch.child := case when p_child is not null then (recovery.compile(p_table, p_child, v_watch.group_type)).o_text end;
        v_watch.cancel := p_cancel;
        -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
        -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
        v_step := 'started';
        select n.nspname into v_schema from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table;
        execute format('drop index if exists %I.%I', v_schema, 'recovery_started_' || v_watch.id);
        execute format('create index %I on %s ((%s)) where (%s) and (%s) is not null', 'recovery_started_' || v_watch.id, p_table,
            recovery.realias(v_watch.started, p_table::text), recovery.realias(v_watch.open, p_table::text), recovery.realias(v_watch.started, p_table::text));
        update recovery.watch as w
        set started = v_watch.started, kind = v_watch.kind, activity = v_watch.activity, timeout = v_watch.timeout, hold = v_watch.hold,
            child = v_watch.child, cancel = v_watch.cancel, supervised = v_spec
        where w.id = v_watch.id returning w.* into v_watch;
        v_step := 'statement';
        execute 'explain (costs off) ' || recovery.due_sql(v_watch) using now(), now(), interval '1 second';
    exception
        when insufficient_privilege then
            raise;
        when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
            if v_state like 'RC%' then
                raise;
            end if;
            perform recovery.fail('RC006', format('the %s expression for %s does not work: %s', v_step, p_table, v_error),
                'Expressions see one row r of the table and are read with search_path pg_catalog; p_started must be immutable.');
    end;
    return v_watch.name;
end
$$;

comment on function recovery.supervise(regclass, text, text, text, text, text, text, text) is
    'Puts a watch under the watchdog: kind of work, last activity, own timeout, hold, child group, what a timeout cancels (row or group), start. Timeouts themselves are settings (recovery.configure). Doing it again replaces it. RC006 cannot work, RC008 not watched.';

revoke all on function recovery.supervise(regclass, text, text, text, text, text, text, text) from public;
