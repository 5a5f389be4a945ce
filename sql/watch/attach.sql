create or replace function recovery.attach(
    p_table         regclass,
    p_open          text,
    p_close         jsonb,
    p_name          text     default null,
    p_group         text     default null,
    p_family        text     default null,
    p_parent        text     default null,
    p_position      integer  default 100,
    p_order         text     default null,
    p_only          text     default null,
    p_image         text     default null,
    p_topic         text     default null,
    p_failed_topics text[]   default null,
    p_idle_topics   text[]   default null,
    p_started       text     default null,
    p_unowned       interval default null,
    p_events        text     default 'all',
    p_launch_grace  interval default null,
    p_requeue       jsonb    default null,
    p_attempts      text     default null,
    p_max_attempts  integer  default 3,
    p_search_path   text     default pg_catalog.current_setting('search_path')
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* With the rights of its caller, who must have those of the table's owner: the column. What needs ours is
   done by the triggers of recovery.watch; recovery._complete_watch has the index and the table's triggers made. */
declare
    v_owner  regrole := (select c.relowner from pg_class as c where c.oid = p_table);
    v_runner recovery.runner;
    v_known  recovery.watch;
    v_watch  recovery.watch;
    v_spec   jsonb;
    v_path   text := regexp_replace(p_search_path, '"?\$user"?', quote_ident(current_user));
begin
    if not has_schema_privilege('recovery', 'usage') or not has_function_privilege('recovery._owns_table(regclass)', 'execute') then
        raise exception using errcode = '42501', message = format('%s is not permitted to attach tables', current_user),
            hint = format('A DBA runs this once: select recovery.permit(%L);',
                          case when pg_has_role(v_owner::oid, 'usage') then v_owner::text else quote_ident(current_user) end);
    elsif v_owner is not null and not recovery._owns_table(p_table) then
        perform recovery._fail('42501', format('must be owner of table %s', p_table), format('It belongs to %s.', v_owner));
    end if;
    perform recovery._check_table(p_table);
    v_spec := jsonb_build_object(
        'name', coalesce(p_name, (select n.nspname || '.' || c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)),
        'open', p_open, 'close', p_close, 'group', p_group, 'family', p_family,
        'parent', p_parent, 'position', p_position, 'order', p_order, 'only', p_only, 'image', p_image, 'topic', p_topic,
        'failed_topics', p_failed_topics, 'idle_topics', p_idle_topics, 'started', p_started, 'unowned', p_unowned, 'events', p_events,
        'launch_grace', p_launch_grace, 'requeue', p_requeue, 'attempts', p_attempts,
        'max_attempts', case when p_requeue is not null then p_max_attempts end);
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    v_runner := recovery._runner_of(p_table);
    if v_runner.id is null and pg_has_role('recovery_owner', 'usage') then
        begin
            perform recovery._make_runner(v_owner);
        exception when insufficient_privilege then
            null;  -- the next lines say what to do
        end;
        v_runner := recovery._runner_of(p_table);
    end if;
    if v_runner.id is null then
        perform recovery._fail('42501', format('%s is not permitted to attach tables', v_owner), format('A DBA runs this once: select recovery.permit(%L);', v_owner));
    end if;
    if v_runner.privileged then
        perform recovery._lend_table(p_table, v_runner.role);
    end if;
    select w.* into v_known from recovery.watch as w where w.relation = p_table;
    if v_known.id is not null and v_known.spec <> v_spec then
        perform recovery._fail('RC007', format('%s is watched already, as "%s", with another specification', p_table, v_known.name),
            'Detach it first: select recovery.detach(' || quote_literal(p_table) || ').');
    elsif v_known.id is not null and v_known.runner = v_runner.id and v_known.path = v_path and not recovery._is_stale(p_table)
        and not exists (select from recovery._watch_definitions(v_known)) then
        return v_known.name;
    elsif v_known.id is not null then
        perform recovery._drop_triggers(p_table);
        update recovery.watch as w set path = v_path where w.relation = p_table returning w.* into v_watch;
    else
        insert into recovery.watch (relation, spec, path) values (p_table, v_spec, v_path) returning * into v_watch;
        if v_watch.own_column then
            execute format('alter table %s add column server_epoch bigint', p_table);
            execute format('comment on column %s.server_epoch is %L', p_table, 'pg-recovery: epoch of the server that owns the row.');
        end if;
    end if;
    perform recovery._complete_watch(v_watch);
    return v_watch.name;
end
$$;

comment on function recovery.attach(regclass, text, jsonb, text, text, text, text, integer, text, text, text, text, text[], text[], text, interval, text, interval, jsonb, text, integer, text) is
    'Watches a table: adds server_epoch, a partial index and triggers, after planning the real statements. Returns the name. Repeating the same registration does nothing. Everybody may call it; it refuses who does not own the table (42501) or was not permitted to by recovery.permit (42501, with the statement to run). RC006 cannot work, RC007 watched with another specification.';

revoke all on function recovery.attach(regclass, text, jsonb, text, text, text, text, integer, text, text, text, text, text[], text[], text, interval, text, interval, jsonb, text, integer, text) from public;
