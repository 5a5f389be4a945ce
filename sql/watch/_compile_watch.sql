create or replace function recovery._compile_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* recovery.watch is the door through which a table's owner comes in: it may write relation, spec, path and
   supervised, for its own tables. Everything else in the row is made here, from what PostgreSQL prints when
   the owner's runner reads the expressions. */
declare
    v_step   text;
    v_state  text;
    v_error  text;
    v_done   text;
    v_other  recovery.watch;
    v_column record;
    v_text   text;
    v_close  jsonb := '{}';
    v_requeue jsonb := '{}';
    v_diff   boolean := false;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform recovery._check_table(new.relation);
    perform recovery._check_options(new.relation, new.spec);
    new.name := new.spec ->> 'name';
    new.family := coalesce(new.spec ->> 'family', new.name);
    new.position := (new.spec ->> 'position')::integer;
    new.topic := new.spec ->> 'topic';
    new.failed_topics := (select array_agg(t.topic order by t.n) from jsonb_array_elements_text(nullif(new.spec -> 'failed_topics', 'null')) with ordinality as t (topic, n));
    new.idle_topics := (select array_agg(t.topic order by t.n) from jsonb_array_elements_text(nullif(new.spec -> 'idle_topics', 'null')) with ordinality as t (topic, n));
    new.unowned := (new.spec ->> 'unowned')::interval;
    new.launch_grace := (new.spec ->> 'launch_grace')::interval;
    new.events := new.spec ->> 'events';
    new.runner := (recovery._runner_of(new.relation)).id;
    if new.runner is null then
        perform recovery._fail('42501', format('the owner of %s is not permitted to attach tables', new.relation),
            format('A DBA runs this once: select recovery.permit(%L);', (select c.relowner::regrole from pg_class as c where c.oid = new.relation)));
    end if;
    select w.* into v_other from recovery.watch as w where w.name = new.name and w.id <> new.id;
    if found then
        perform recovery._fail('RC007', format('the name "%s" is taken by the watch on %s', new.name, v_other.relation),
            'Give another name.');
    end if;

    select array_agg(a.attname order by k.n), array_agg(format_type(a.atttypid, a.atttypmod) order by k.n)
    into new.key_columns, new.key_types
    from pg_index as i
    cross join lateral unnest(i.indkey) with ordinality as k (attnum, n)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = new.relation and i.indisprimary and k.n <= i.indnkeyatts;
    if new.key_columns is null then
        perform recovery._fail('RC006', format('%s has no primary key', new.relation), 'Events and closings name a row by its primary key.');
    end if;
    if tg_op = 'INSERT' then
        select a.atttypid = 'bigint'::regtype and a.attgenerated = '' and a.attidentity = '' as fits, a.attnotnull into v_column
        from pg_attribute as a
        where a.attrelid = new.relation and a.attname = 'server_epoch' and not a.attisdropped;
        new.own_column := not found;
        if found and not v_column.fits then
            perform recovery._fail('RC006', format('%s has a column server_epoch that is not bigint, or is generated', new.relation));
        elsif v_column.attnotnull then
            perform recovery._fail('RC006', format('the column server_epoch of %s is not null', new.relation), 'Let it be null: nobody owns a row that is not open.');
        end if;
    end if;

    begin
        v_step := 'open';
        select c.o_text, c.o_columns, c.o_plain into new.open, new.open_columns, new.plain
        from recovery._compile_expression(new.relation, new.spec ->> 'open', 'boolean', false, true) as c;
        v_step := 'group';
        new.group_by := null;
        new.group_type := null;
        if new.spec ->> 'group' is not null then
            select c.o_text, c.o_type, c.o_plain and new.plain, new.open_columns || c.o_columns
            into new.group_by, new.group_type, new.plain, new.open_columns
            from recovery._compile_expression(new.relation, new.spec ->> 'group', null, false, true) as c;
        end if;
        for v_step, v_text in
            select s.step, s.type from (values ('parent', new.group_type), ('only', 'boolean'), ('started', 'timestamptz')) as s (step, type)
        loop
            v_done := coalesce(case v_step when 'started' then new.supervised ->> 'started' end, new.spec ->> v_step);
            if v_done is not null then
                select c.o_text, new.plain and (c.o_plain or v_step <> 'started') into v_done, new.plain
                from recovery._compile_expression(new.relation, v_done, v_text, false, v_step = 'started') as c;
            end if;
            case v_step
                when 'parent' then new.parent := v_done;
                when 'only' then new.only_if := v_done;
                else new.started := v_done;
            end case;
        end loop;
        v_step := 'order';
        new.order_by := null;
        if new.spec ->> 'order' is not null then
            -- A view column cannot be a record, so the row is compiled inside a test and taken out again.
            new.order_by := substring((recovery._compile_expression(new.relation, 'row(' || (new.spec ->> 'order') || ') is null', 'boolean')).o_text from '^\((.*) IS NULL\)$');
        end if;
        new.attempts := new.spec ->> 'attempts';
        for v_column in
            select s.key as name, s.value as expression, s.into_close, a.attnum, a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) as counts, format_type(a.atttypid, a.atttypmod) as type,
                   a.atttypid in ('json'::regtype, 'jsonb'::regtype) as json,
                   a.attgenerated <> '' or s.key = 'server_epoch' or s.key = any(new.key_columns) as fixed
            from (select *, true as into_close from jsonb_each_text(new.spec -> 'close')
                  union all select *, false from jsonb_each_text(coalesce(nullif(new.spec -> 'requeue', 'null'), '{}'))
                  union all select new.attempts, format('coalesce(r.%I, 0) + 1', new.attempts), null where new.attempts is not null) as s
            left join pg_attribute as a on a.attrelid = new.relation and a.attname = s.key and a.attnum > 0 and not a.attisdropped
            order by s.key
        loop
            v_step := case v_column.into_close when true then 'close ' when false then 'requeue ' else 'attempts ' end || v_column.name;
            if v_column.name = 'server_epoch' then
                perform recovery._fail('42601', format('column "%s" of %s cannot be set by a closing', v_column.name, new.relation));
            elsif v_column.attnum is null then
                perform recovery._fail('42703', format('column "%s" of %s does not exist', v_column.name, new.relation));
            elsif v_column.fixed then
                perform recovery._fail('42601', format('column "%s" of %s cannot be set by a closing', v_column.name, new.relation));
            elsif v_column.expression is null then
                perform recovery._fail('42601', format('column "%s" has no expression: write "null" to set null', v_column.name));
            end if;
            if v_column.into_close is null then
                if not v_column.counts or new.spec -> 'close' ? v_column.name or new.spec -> 'requeue' ? v_column.name then
                    perform recovery._fail('42804', format('column "%s" must be an integer that no close or requeue expression sets', v_column.name));
                end if;
            elsif v_column.into_close then
                v_close := v_close || jsonb_build_object(v_column.name, (recovery._compile_expression(new.relation, v_column.expression, v_column.type, true)).o_text);
            else
                v_requeue := v_requeue || jsonb_build_object(v_column.name, (recovery._compile_expression(new.relation, v_column.expression, v_column.type, true)).o_text);
            end if;
            v_diff := v_diff or v_column.json;
        end loop;
        new.max_attempts := case when new.attempts is not null then (new.spec ->> 'max_attempts')::integer end;
        new.close := recovery._requeue_sql(new.relation, v_close, v_requeue, new.attempts, new.max_attempts);
        new.requeue := nullif(v_requeue, '{}');
        v_step := 'image';
        new.diff := v_diff and new.spec ->> 'image' is null;
        new.image := (recovery._compile_expression(new.relation, coalesce(new.spec ->> 'image', (
            select 'jsonb_build_object(' || string_agg(format('%L, r.%I', s.key, s.key), ', ' order by s.key) || ')'
            from jsonb_object_keys(new.close) as s (key))), 'jsonb')).o_text;
        if new.supervised is not null then
            new.cancel := new.supervised ->> 'cancel';
            for v_step, v_text in
                select s.step, s.type
                from (values ('kind', 'text'), ('activity', 'timestamptz'), ('timeout', 'interval'), ('hold', 'boolean'), ('child', new.group_type)) as s (step, type)
            loop
                v_done := case when new.supervised ->> v_step is not null then (recovery._compile_expression(new.relation, new.supervised ->> v_step, v_text)).o_text end;
                case v_step
                    when 'kind' then new.kind := v_done;
                    when 'activity' then new.activity := v_done;
                    when 'timeout' then new.timeout := v_done;
                    when 'hold' then new.hold := v_done;
                    else new.child := v_done;
                end case;
            end loop;
        end if;
    exception
        when insufficient_privilege then
            raise;
        when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
            if v_state like 'RC%' then
                raise;
            end if;
            perform recovery._fail('RC006', format('the %s expression for %s does not work: %s', v_step, new.relation, v_error),
                'Expressions see one row r of the table (in close also c.reason, c.message, c.at, c.ms, c.epoch) and are read with search_path pg_catalog: qualify your own types and functions.');
    end;
    select w.* into v_other from recovery.watch as w
    where w.family = new.family and w.id <> new.id and (w.group_type is distinct from new.group_type or w.runner <> new.runner);
    if found and v_other.runner <> new.runner then
        perform recovery._fail('RC006', format('%s and %s, of family "%s", belong to two owners', new.relation, v_other.relation, new.family),
            'Watches of one family close in one statement, with the rights of one owner.');
    elsif found then
        perform recovery._fail('RC006', format('the group of %s is %s, that of "%s" in family "%s" is %s', new.relation,
            coalesce(new.group_type, 'not given'), v_other.name, new.family, coalesce(v_other.group_type, 'not given')),
            'Watches of one family share the type of their group.');
    end if;
    if new.group_by is null and exists (select from recovery.watch as w where w.family = new.family and w.id <> new.id) then
        perform recovery._fail('RC006', format('family "%s" has a watch already', new.family), 'Watches share a family only by p_group.');
    end if;
    new.outbox := coalesce((select min(w.outbox) from recovery.watch as w where w.family = new.family and w.id <> new.id), new.id);
    return new;
end
$$;

comment on function recovery._compile_watch() is
    'Trigger function of recovery.watch: checks what an owner has written there and makes all other columns from it. RC006 cannot work, RC007 the name is taken, 42501 the owner is not permitted.';

revoke all on function recovery._compile_watch() from public;
