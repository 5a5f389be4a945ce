create or replace function recovery.attach(
    -- The row: its table, when it is work in flight, how a closing ends it.
    p_table         regclass,
    p_open          text,                   -- condition over r
    p_close         jsonb,                  -- column -> expression over r and the closing c
    p_name          text     default null,  -- of the watch, in events and reports; by default schema.table
    -- The group: a session, whose rows close together.
    p_group         text     default null,  -- expression: which one the row belongs to
    p_family        text     default null,  -- watches of one family share their groups; by default the name
    p_parent        text     default null,  -- of a row that is a group: its parent; trees close deepest first
    p_position      integer  default 100,   -- order within the family: lower ones are closed and announced first
    p_order         text     default null,  -- order of the rows of one group in events
    -- The events: which there are, what they record, what the bus calls them.
    p_events        text     default 'all', -- all: every transition; closed: only what recovery itself does
    p_image         text     default null,  -- jsonb expression: what is recorded; by default the columns of p_close
    p_topic         text     default null,  -- of a row
    p_failed_topics text[]   default null,  -- of a group in which work was closed
    p_idle_topics   text[]   default null,  -- of a group in which nothing is open any more
    -- The time: when open work began, and until when it is left alone.
    p_started       text     default null,  -- timestamptz expression, immutable
    p_launch_grace  interval default null,  -- work this young is kept, although no fuse guards it yet
    p_unowned       interval default null,  -- rows of no epoch that are older are closed at boot
    p_only          text     default null,  -- condition: the open row of an ended epoch is damage; others are let go
    -- The owner: where another session than the worker's writes the row.
    p_owner         text     default null,  -- text expression: the name of the server that does the work
    p_alive         text     default null,  -- boolean expression: evidence of its life in the host's own tables
    p_alive_lease   interval default interval '15 seconds',  -- seen false for so long, the row is an orphan
    -- The retry: back to the queue while attempts are left.
    p_requeue       jsonb    default null,  -- column -> expression, as p_close, and then set instead of it
    p_attempts      text     default null,  -- the integer column that counts
    p_max_attempts  integer  default 3,     -- so many in all; the last one fails
    p_free_reasons  text[]   default '{shutdown,drain_expired}',  -- an interruption for one of these costs no attempt
    p_not_before    text     default null,  -- the timestamptz column before which the queue must not take it again
    p_backoff       interval default interval '1 second',   -- so long after the first attempt, then twice as long
    p_max_backoff   interval default interval '5 minutes',  -- and never longer than this
    -- The host: by what path its triggers find their names when a closing fires them.
    p_search_path   text     default pg_catalog.current_setting('search_path'),
    -- How: at once, in this transaction, or only registered, for a client that executes recovery.attach_steps.
    p_concurrently  boolean  default false
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* With the rights of its caller, who must have those of the table's owner. What needs ours is done by the triggers of
   recovery.watch: that of its insert checks the options and compiles the expressions. */
declare
    v_owner  regrole := (select c.relowner from pg_class as c where c.oid = p_table);
    v_runner recovery.runner;
    v_before recovery.watch;
    v_watch  recovery.watch;
    v_spec   jsonb;
    v_empty  boolean;
    v_other  boolean;
    v_path   text := regexp_replace(p_search_path, '"?\$user"?', quote_ident(current_user));
begin
    -- Check. Everybody may call this function, but only who was permitted may call those that it needs.
    if not has_schema_privilege('recovery', 'usage')
        or not has_function_privilege('recovery._check_owner(regclass)', 'execute')
    then
        raise exception using errcode = '42501', message = format('%s is not permitted to attach tables', current_user),
            hint = format('A DBA runs this once: select recovery.permit(%L);',
                case when pg_has_role(v_owner::oid, 'usage') then v_owner::text else quote_ident(current_user) end);
    end if;
    perform recovery._check_owner(p_table);
    perform recovery._check_table(p_table);
    v_spec := jsonb_build_object(
        'open', p_open, 'close', p_close, 'name', coalesce(p_name, (
            select w.name from recovery.watch as w where w.relation = p_table), (
            select n.nspname || '.' || c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)),
        'group', p_group, 'family', p_family, 'parent', p_parent, 'position', p_position, 'order', p_order,
        'events', p_events, 'image', p_image, 'topic', p_topic,
        'failed_topics', p_failed_topics, 'idle_topics', p_idle_topics,
        'started', p_started, 'launch_grace', p_launch_grace, 'unowned', p_unowned, 'only', p_only,
        'requeue', p_requeue, 'attempts', p_attempts,
        'max_attempts', case when p_requeue is not null then p_max_attempts end
    ) || jsonb_strip_nulls(jsonb_build_object(
        'owner', p_owner, 'alive', p_alive, 'alive_lease', case when p_alive is not null then p_alive_lease end,
        'free_reasons', case when p_requeue is not null then p_free_reasons end,
        'not_before', p_not_before, 'backoff', case when p_not_before is not null then p_backoff end,
        'max_backoff', case when p_not_before is not null then p_max_backoff end));
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform set_config('recovery.attaching', 'on', true);
    perform recovery._forget_dropped();
    -- Grants.
    v_runner := recovery._prepare_runner(p_table);
    -- Compile.
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if v_before.id is null then
        perform recovery._check_partitions(p_table);
        insert into recovery.watch (relation, spec, path, attached)
        values (p_table, v_spec, v_path, case when not p_concurrently then clock_timestamp() end)
        returning * into v_watch;
    elsif v_before.spec <> v_spec or v_before.path <> v_path then
        perform recovery._yield_triggers(v_before);
        -- What was only spelled differently is the same; and what is not in force yet may still be changed.
        begin
            update recovery.watch as w set spec = v_spec, path = v_path where w.relation = p_table
            returning w.* into v_watch;
            v_other := recovery._differs(v_before, v_watch);
        exception when sqlstate 'RC006' then
            if v_before.attached is null or v_before.spec = v_spec then
                raise;
            end if;
            v_other := true;
        end;
        if v_before.attached is not null and v_other then
            perform recovery._fail('RC007',
                format('%s is watched already, as "%s", with another specification', p_table, v_before.name),
                format('Change it, and every owner of work in flight stays: select recovery.alter(%L, ''{...}''), or '
                    'recovery.alter in Python.', p_table));
        end if;
    else
        v_watch := v_before;
    end if;
    if p_concurrently then
        perform set_config('recovery.attaching', '', true);
        return v_watch.name;
    end if;
    if v_before.attached is not null then
        if recovery._watch_flaw(v_watch) is null and recovery._watch_flaw(v_before) is null then
            perform set_config('recovery.attaching', '', true);
            return v_watch.name;
        end if;
        -- Something of it was removed or disabled: what can be made anew is.
        perform recovery._check_partitions(p_table);
        perform recovery._lock_table(p_table, 'access exclusive');
        perform recovery._drop_triggers(p_table);
        perform recovery._repair_indexes(v_watch);
        update recovery.watch as w set path = w.path where w.relation = p_table returning w.* into v_watch;
    elsif v_before.id is not null then
        perform recovery._repair_indexes(v_watch);
        update recovery.watch as w set attached = clock_timestamp() where w.relation = p_table
        returning w.* into v_watch;
    end if;
    perform recovery._add_owner_column(v_watch);
    -- Index, triggers, rehearsal. The last before our triggers are there, where it needs a row made up, and after the
    -- index, where it has to look for one.
    execute format('select not exists (select from %s)', p_table) into v_empty;
    if v_empty then
        perform recovery._rehearse_watch(p_table);
        perform recovery._rehearse_closing(p_table);
    end if;
    perform recovery._complete_watch(v_watch);
    if not v_empty then
        perform recovery._rehearse_closing(p_table);
    end if;
    perform set_config('recovery.attaching', '', true);
    return v_watch.name;
end
$$;

comment on function recovery.attach(
    regclass, text, jsonb, text,
    text, text, text, integer, text,
    text, text, text, text[], text[],
    text, interval, interval, text,
    text, text, interval,
    jsonb, text, integer,
    text[], text, interval, interval,
    text, boolean
) is
    'Watches a table: adds server_epoch, a partial index and triggers, after planning the real statements. '
    'Returns the name. Repeating the same registration repairs what was removed since, and else does nothing. '
    'Everybody may call it; it refuses who does not own the table (42501) or was not permitted to by '
    'recovery.permit (42501, with the statement to run). '
    'RC006 cannot work, RC007 watched with another specification.';

revoke all on function recovery.attach(
    regclass, text, jsonb, text,
    text, text, text, integer, text,
    text, text, text, text[], text[],
    text, interval, interval, text,
    text, text, interval,
    jsonb, text, integer,
    text[], text, interval, interval,
    text, boolean
) from public;
