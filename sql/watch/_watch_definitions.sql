create or replace function recovery._watch_definitions(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
/* PostgreSQL reads and plans a WHEN clause anew for each statement, half a microsecond for each of its
   nodes, and a streaming update should not pay for that. So triggers name the columns that their conditions read,
   and their functions decide; one short WHEN keeps streaming updates out of zz_recovery_20_update, which looks at
   every update of a closed row. Where naming columns is not enough, because a BEFORE trigger of the host may change
   one that the statement does not name, or does not help, because work streams into the json that says whether it is
   open, recovery_20_update looks at every update.

   The BEFORE triggers are called zz_ so that they fire after those of the host, and see the row as it will be.

   Closings write their events themselves: they are the runner's statements, and no trigger of ours is for them. */
declare
    v_schema  oid := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_was     constant text := recovery._realias_sql(p_watch.open, 'old');
    v_is      constant text := recovery._realias_sql(p_watch.open, 'new');
    v_writes  constant text := format('(current_user <> %L or pg_trigger_depth() > 0)', (recovery._runner_of(p_watch.relation)).role);
    v_moves   text;
    v_columns text;
    v_trigger record;
begin
    name := 'recovery_open_' || p_watch.id;
    if not exists (select from pg_class as c where c.relnamespace = v_schema and c.relname = _watch_definitions.name) then
        statement := format('create index %I on %s (server_epoch%s%s) where (%s)', name, p_watch.relation,
            coalesce(', (' || recovery._realias_sql(p_watch.group_by, p_watch.relation::text) || ')', ''),
            (select string_agg(format(', %I', k.name), '' order by k.n) from unnest(p_watch.key_columns) with ordinality as k (name, n)),
            recovery._realias_sql(p_watch.open, p_watch.relation::text));
        return next;
    end if;
    name := 'recovery_started_' || p_watch.id;
    if p_watch.supervised is not null and not exists (select from pg_class as c where c.relnamespace = v_schema and c.relname = _watch_definitions.name) then
        -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
        -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
        statement := format('create index %I on %s ((%s)) where (%s) and (%s) is not null', name, p_watch.relation,
            recovery._realias_sql(p_watch.started, p_watch.relation::text), recovery._realias_sql(p_watch.open, p_watch.relation::text),
            recovery._realias_sql(p_watch.started, p_watch.relation::text));
        return next;
    end if;
    if not recovery._has_rewriting_trigger(p_watch.relation) and p_watch.open !~ '\mr\.\*' then
        select string_agg(format('%I', a.attname), ', ' order by a.attnum) into v_columns
        from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped
          and (a.attnum = any(p_watch.open_columns) or a.attname = 'server_epoch' or a.attname = any(p_watch.key_columns))
        having not bool_or(a.attgenerated <> '' or a.atttypid in ('json'::regtype, 'jsonb'::regtype));
    end if;
    if (select c.relkind from pg_class as c where c.oid = p_watch.relation) = 'p' then
        v_moves := format($$current_setting('recovery.move_%s', true) = 'on'$$, p_watch.id);  -- a row may be on its way between partitions
    end if;
    for v_trigger in
        select t.name, t.function, t.event, t.condition || case when v_moves is null or t.event ~ 'update' then '' else ' and ' || v_writes end as condition
        from (values
            ('zz_recovery_10_insert', 'before_insert', 'before insert', format(
                case when recovery._is_decided_late(p_watch) then '(new.server_epoch is null%2$s)' else '((%1$s) is distinct from (new.server_epoch is not null)%2$s)' end,
                v_is, coalesce(' or ' || v_moves, ''))),
            ('zz_recovery_20_update', 'before_update', 'before update', case when v_moves is null then format('(%s) is not true', v_was) else v_writes end),
            ('zz_recovery_25_null', 'before_update', 'before update of server_epoch', case when v_moves is null then format(
                'new.server_epoch is null and old.server_epoch is not null and (%s) and %s', v_was, v_writes) end),
            ('zz_recovery_30_delete', 'before_delete', 'before delete', v_moves),
            ('recovery_10_insert', 'insert', 'after insert', format('(%s%s)', v_is, coalesce(' or ' || v_moves, ''))),
            ('recovery_20_update', 'update', 'after update' || coalesce(' of ' || v_columns, ''), v_writes),
            ('recovery_30_delete', 'delete', 'after delete', format($$(%s or current_setting('recovery.server_epoch', true) <> ''%s)$$, v_was, coalesce(' or ' || v_moves, ''))),
            ('recovery_40_truncate', 'truncate', 'before truncate', '')
        ) as t (name, function, event, condition)
        where t.condition is not null and not exists (select from pg_trigger as g where g.tgrelid = p_watch.relation and g.tgname = t.name)
    loop
        name := v_trigger.name;
        statement := format('create trigger %I %s on %s for each %s execute function recovery.watch_%s_%s()',
            v_trigger.name, v_trigger.event, p_watch.relation,
            case v_trigger.function when 'truncate' then 'statement' else format('row when (%s)', v_trigger.condition) end,
            p_watch.id, v_trigger.function);
        return next;
    end loop;
end
$function$;

comment on function recovery._watch_definitions(recovery.watch) is
    'The statements that make the index and the triggers of a watch, as far as its table does not have them.';

revoke all on function recovery._watch_definitions(recovery.watch) from public;
