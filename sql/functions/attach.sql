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
    p_max_attempts  integer  default 3
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_class   record;
    v_watch   recovery.watch;
    v_known   recovery.watch;
    v_column  record;
    v_name    text;
    v_step    text;
    v_scope   text;
    v_state   text;
    v_error   text;
    v_close   jsonb := '{}';
    v_requeue jsonb := '{}';
    v_diff    boolean := false;
    v_grants  text[];
    v_role    text := current_setting('role');
    v_usage   boolean;
begin
    select c.oid, c.relkind, c.relpersistence, c.relispartition, c.relname, n.nspname into v_class
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table;
    if not found then
        perform recovery.fail('RC006', format('table %s does not exist', coalesce(p_table::text, 'null')));
    end if;
    v_name := coalesce(p_name, v_class.nspname || '.' || v_class.relname);
    if v_class.relkind not in ('r', 'p') then
        perform recovery.fail('RC006', format('%s is a %s: only tables can be watched', p_table,
            case v_class.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
                 when 'i' then 'index' when 'S' then 'sequence' else 'relation of kind ' || v_class.relkind::text end));
    elsif v_class.relispartition then
        perform recovery.fail('RC006', format('%s is a partition', p_table), 'Watch the partitioned table.');
    elsif v_class.relpersistence = 't' then
        perform recovery.fail('RC006', format('%s is a temporary table: other sessions cannot see its rows', p_table));
    elsif v_class.nspname in ('recovery', 'pg_catalog', 'information_schema') then
        perform recovery.fail('RC006', format('%s belongs to schema %s and cannot be watched', p_table, v_class.nspname));
    elsif p_open is null or btrim(p_open) = '' then
        perform recovery.fail('RC006', format('no open expression was given for %s', p_table), 'Such as: status = ''running''.');
    elsif p_close is null or jsonb_typeof(p_close) <> 'object' or p_close = '{}' then
        perform recovery.fail('RC006', format('close expressions of %s are %s', p_table, coalesce(p_close::text, 'null')),
            'Give an object of column -> SQL expression, such as {"status": "''failed''"}.');
    elsif p_events not in ('all', 'closed') then
        perform recovery.fail('RC006', format('events "%s" of %s is not known', p_events, p_table), 'Allowed are all and closed.');
    elsif p_unowned is not null and p_started is null then
        perform recovery.fail('RC006', format('unowned rows of %s can only be closed by age', p_table), 'Give p_started too.');
    elsif p_launch_grace is not null and p_started is null then
        perform recovery.fail('RC006', format('a launch grace for %s needs to know when work started', p_table), 'Give p_started too.');
    elsif p_launch_grace < interval '0' or p_unowned < interval '0' then
        perform recovery.fail('RC006', format('interval %s of %s is negative', least(p_launch_grace, p_unowned), p_table));
    elsif (p_requeue is null) <> (p_attempts is null) or p_requeue = '{}' or jsonb_typeof(p_requeue) <> 'object' then
        perform recovery.fail('RC006', format('requeue of %s is %s with attempts column %s', p_table, coalesce(p_requeue::text, 'null'), coalesce(p_attempts, 'null')),
            'Give both: an object of column -> SQL expression that sets a row back, such as {"status": "''queued''"}, and the integer column that counts.');
    elsif p_max_attempts is null or p_max_attempts < 1 then
        perform recovery.fail('RC006', format('max attempts %s of %s is not allowed', coalesce(p_max_attempts::text, 'null'), p_table), 'Give 1 or more.');
    elsif octet_length(v_name) > 200 or btrim(v_name) = '' then
        perform recovery.fail('RC006', format('watch name "%s" is not allowed', left(v_name, 60)), 'Give 1 to 200 bytes.');
    end if;

    v_watch.spec := jsonb_build_object('name', v_name, 'open', p_open, 'close', p_close, 'group', p_group, 'family', p_family,
        'parent', p_parent, 'position', p_position, 'order', p_order, 'only', p_only, 'image', p_image, 'topic', p_topic,
        'failed_topics', p_failed_topics, 'idle_topics', p_idle_topics, 'started', p_started, 'unowned', p_unowned, 'events', p_events,
        'launch_grace', p_launch_grace, 'requeue', p_requeue, 'attempts', p_attempts,
        'max_attempts', case when p_requeue is not null then p_max_attempts end);
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_known from recovery.watch as w where w.relation = p_table or w.name = v_name;
    if found then
        if v_known.relation = p_table and v_known.spec = v_watch.spec then
            if recovery.is_stale(p_table) then
                perform recovery.install_triggers(v_known);
            end if;
            return v_known.name;
        end if;
        perform recovery.fail('RC007',
            case when v_known.relation = p_table then format('%s is watched already, as "%s", with another specification', p_table, v_known.name)
                 else format('the name "%s" is taken by the watch on %s', v_name, v_known.relation) end,
            'Detach it first: select recovery.detach(' || quote_literal(v_known.relation) || ').');
    end if;

    select array_agg(a.attname order by k.n), array_agg(format_type(a.atttypid, a.atttypmod) order by k.n)
    into v_watch.key_columns, v_watch.key_types
    from pg_index as i
    cross join lateral unnest(i.indkey) with ordinality as k (attnum, n)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = p_table and i.indisprimary and k.n <= i.indnkeyatts;
    if v_watch.key_columns is null then
        perform recovery.fail('RC006', format('%s has no primary key', p_table), 'Events and closings name a row by its primary key.');
    end if;

    select a.atttypid = 'bigint'::regtype and a.attgenerated = '' and a.attidentity = '' as fits, pg_get_expr(d.adbin, d.adrelid) as default_text into v_column
    from pg_attribute as a left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_table and a.attname = 'server_epoch' and not a.attisdropped;
    if found and not v_column.fits then
        perform recovery.fail('RC006', format('%s has a column server_epoch that is not bigint, or is generated', p_table));
    end if;
    v_watch.undo := jsonb_build_object('column', not found, 'default', v_column.default_text);
    if not (v_watch.undo -> 'column')::boolean then
        null;
    else
        execute format('alter table %s add column server_epoch bigint', p_table);
        execute format('comment on column %s.server_epoch is %L', p_table, 'pg-recovery: epoch of the server that owns the row.');
    end if;
    execute format('alter table %s alter column server_epoch set default nullif(current_setting(%L, true), %L)::bigint',
        p_table, 'recovery.server_epoch', '');

    v_watch.name := v_name;
    v_watch.relation := p_table;
    v_watch.family := coalesce(p_family, v_name);
    v_watch.position := p_position;
    v_watch.topic := p_topic;
    v_watch.failed_topics := p_failed_topics;
    v_watch.idle_topics := p_idle_topics;
    v_watch.unowned := p_unowned;
    v_watch.events := p_events;
    v_watch.attached := clock_timestamp();
    begin
        v_step := 'open';
        v_watch.open := (recovery.compile(p_table, p_open, 'boolean')).o_text;
        v_step := 'group';
        if p_group is not null then
            select o_text, o_type into v_watch.group_by, v_watch.group_type from recovery.compile(p_table, p_group, null);
        end if;
        v_step := 'parent';
        if p_parent is not null then
            v_watch.parent := (recovery.compile(p_table, p_parent, v_watch.group_type)).o_text;
        end if;
        v_step := 'order';
        if p_order is not null then
            -- A view column cannot be a record, so the row is compiled inside a test and taken out again.
            v_watch.order_by := substring((recovery.compile(p_table, 'row(' || p_order || ') is null', 'boolean')).o_text from '^\((.*) IS NULL\)$');
        end if;
        v_step := 'only';
        if p_only is not null then
            v_watch.only_if := (recovery.compile(p_table, p_only, 'boolean')).o_text;
        end if;
        v_step := 'started';
        if p_started is not null then
            v_watch.started := (recovery.compile(p_table, p_started, 'timestamptz')).o_text;
        end if;
        for v_column in
            select s.key as name, s.value as expression, s.into_close, a.attnum, a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) as counts, format_type(a.atttypid, a.atttypmod) as type,
                   a.atttypid in ('json'::regtype, 'jsonb'::regtype) as json,
                   a.attgenerated <> '' or s.key = 'server_epoch' or s.key = any(v_watch.key_columns) as fixed
            from (select *, true as into_close from jsonb_each_text(p_close)
                  union all select *, false from jsonb_each_text(coalesce(p_requeue, '{}'))
                  union all select p_attempts, format('coalesce(r.%I, 0) + 1', p_attempts), null where p_attempts is not null) as s
            left join pg_attribute as a on a.attrelid = p_table and a.attname = s.key and a.attnum > 0 and not a.attisdropped
            order by s.key
        loop
            v_step := case v_column.into_close when true then 'close ' when false then 'requeue ' else 'attempts ' end || v_column.name;
            if v_column.attnum is null then
                perform recovery.fail('42703', format('column "%s" of %s does not exist', v_column.name, p_table));
            elsif v_column.fixed then
                perform recovery.fail('42601', format('column "%s" of %s cannot be set by a closing', v_column.name, p_table));
            elsif v_column.expression is null then
                perform recovery.fail('42601', format('column "%s" has no expression: write "null" to set null', v_column.name));
            end if;
            if v_column.into_close is null then
                if not v_column.counts or p_close ? v_column.name or p_requeue ? v_column.name then
                    perform recovery.fail('42804', format('column "%s" must be an integer that no close or requeue expression sets', v_column.name));
                end if;
            elsif v_column.into_close then
                v_close := v_close || jsonb_build_object(v_column.name, (recovery.compile(p_table, v_column.expression, v_column.type, true)).o_text);
            else
                v_requeue := v_requeue || jsonb_build_object(v_column.name, (recovery.compile(p_table, v_column.expression, v_column.type, true)).o_text);
            end if;
            v_diff := v_diff or v_column.json;
        end loop;
        v_watch.close := recovery.requeue_sql(p_table, v_close, v_requeue, p_attempts, p_max_attempts);
        v_watch.requeue := nullif(v_requeue, '{}');
        v_watch.attempts := p_attempts;
        v_watch.max_attempts := case when p_attempts is not null then p_max_attempts end;
        v_step := 'image';
        v_watch.diff := v_diff and p_image is null;
        v_watch.image := (recovery.compile(p_table, coalesce(p_image, (
            select 'jsonb_build_object(' || string_agg(format('%L, r.%I', s.key, s.key), ', ' order by s.key) || ')'
            from jsonb_object_keys(v_watch.close) as s (key))), 'jsonb')).o_text;
    exception
        when insufficient_privilege then
            raise;
        when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
            if v_state like 'RC%' then
                raise;
            end if;
            perform recovery.fail('RC006', format('the %s expression for %s does not work: %s', v_step, p_table, v_error),
                'Expressions see one row r of the table (in close also c.reason, c.message, c.at, c.ms, c.epoch) and are read with search_path pg_catalog: qualify your own types and functions.');
    end;
    if v_watch.parent is not null and v_watch.group_by is null then
        perform recovery.fail('RC006', format('%s has a parent expression but no group', p_table), 'p_parent goes with p_group.');
    end if;
    select w.* into v_known from recovery.watch as w where w.family = v_watch.family and w.group_type is distinct from v_watch.group_type;
    if found then
        perform recovery.fail('RC006', format('the group of %s is %s, that of "%s" in family "%s" is %s', p_table,
            coalesce(v_watch.group_type, 'not given'), v_known.name, v_watch.family, coalesce(v_known.group_type, 'not given')),
            'Watches of one family share the type of their group.');
    end if;
    if v_watch.group_by is null and exists (select from recovery.watch as w where w.family = v_watch.family) then
        perform recovery.fail('RC006', format('family "%s" has a watch already', v_watch.family), 'Watches share a family only by p_group.');
    end if;

    -- The owner role closes rows on behalf of every server.
    v_usage := not has_schema_privilege('recovery_owner', v_class.nspname, 'usage');
    if v_usage then
        execute format('grant usage on schema %I to recovery_owner', v_class.nspname);
    end if;
    select array_agg(p.privilege) into v_grants from unnest(array['select', 'update']) as p (privilege)
    where not has_table_privilege('recovery_owner', p_table, p.privilege);
    if v_grants is not null then
        execute format('grant %s on table %s to recovery_owner', array_to_string(v_grants, ', '), p_table);
    end if;
    v_watch.undo := v_watch.undo || jsonb_build_object('grants', array_to_string(v_grants, ', '), 'usage', v_usage);

    insert into recovery.watch (name, relation, family, position, open, close, key_columns, key_types, group_by, group_type, parent,
        order_by, only_if, image, diff, topic, failed_topics, idle_topics, started, unowned, launch_grace, events,
        requeue, attempts, max_attempts, spec, undo)
    values (v_watch.name, p_table, v_watch.family, p_position, v_watch.open, v_watch.close, v_watch.key_columns, v_watch.key_types,
        v_watch.group_by, v_watch.group_type, v_watch.parent, v_watch.order_by, v_watch.only_if, v_watch.image, v_watch.diff,
        p_topic, p_failed_topics, p_idle_topics, v_watch.started, p_unowned, p_launch_grace, p_events,
        v_watch.requeue, v_watch.attempts, v_watch.max_attempts, v_watch.spec, v_watch.undo)
    returning id into v_watch.id;

    begin
        v_step := 'open';
        execute format('create index %I on %s (server_epoch%s%s) where (%s)', 'recovery_open_' || v_watch.id, p_table,
            coalesce(', (' || recovery.realias(v_watch.group_by, p_table::text) || ')', ''),
            (select string_agg(format(', %I', c.name), '' order by c.n) from unnest(v_watch.key_columns) with ordinality as c (name, n)),
            recovery.realias(v_watch.open, p_table::text));
        perform recovery.install_triggers(v_watch);
        -- The real statements, planned with the rights they will run with.
        v_step := 'statement';
        perform set_config('role', 'recovery_owner', true);
        if row_security_active(p_table) then
            perform recovery.fail('RC006', format('row security of %s would hide rows from recovery_owner', p_table),
                'Orphans would stay open: alter role recovery_owner bypassrls.');
        end if;
        v_scope := case when v_watch.group_by is null then 'range' else 'groups' end;
        execute 'explain (costs off) ' || recovery.close_sql(v_watch.family, v_scope)
            using null::bigint, null::text[], 1, null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint[], null::text[];
        execute 'explain (costs off) ' || recovery.close_sql(v_watch.family, 'row', 'any', 'without', true, true, false, v_name)
            using null::bigint, null::text[], 1, null::text, null::text, null::text, null::timestamptz, null::bigint, null::bigint[], null::text[];
        perform set_config('role', v_role, true);
    exception when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
        if v_state = '42501' or v_state like 'RC%' then
            raise;
        end if;
        perform recovery.fail('RC006', format('%s cannot be watched (%s): %s', p_table, v_step, v_error),
            'The open expression must be immutable; close, only and parent must run with the rights of recovery_owner.');
    end;
    return v_name;
end
$$;

comment on function recovery.attach(regclass, text, jsonb, text, text, text, text, integer, text, text, text, text, text[], text[], text, interval, text, interval, jsonb, text, integer) is
    'Watches a table: adds server_epoch, a partial index and triggers, after planning the real statements. Returns the name. Repeating the same registration does nothing. RC006 cannot work, RC007 watched with another specification.';

revoke all on function recovery.attach(regclass, text, jsonb, text, text, text, text, integer, text, text, text, text, text[], text[], text, interval, text, interval, jsonb, text, integer) from public;
