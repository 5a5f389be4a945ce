create or replace function recovery.definitions_of(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL reads and plans a WHEN clause anew for each statement, half a microsecond for each of its
   nodes, and a streaming update should not pay for that. So the update trigger names the columns that its
   conditions read and its function decides; recovery_25_late fences the rows that are closed, whatever
   columns are written. Where naming columns is not enough, because a BEFORE trigger of the host may change
   one that the statement does not name, or does not help, because work streams into the json that says
   whether it is open, one trigger on every update does both.                                         */
declare
    v_schema  oid := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_columns text;
    v_trigger record;
begin
    name := 'recovery_open_' || p_watch.id;
    if not exists (select from pg_class as c where c.relnamespace = v_schema and c.relname = definitions_of.name) then
        statement := format('create index %I on %s (server_epoch%s%s) where (%s)', name, p_watch.relation,
            coalesce(', (' || recovery.realias(p_watch.group_by, p_watch.relation::text) || ')', ''),
            (select string_agg(format(', %I', k.name), '' order by k.n) from unnest(p_watch.key_columns) with ordinality as k (name, n)),
            recovery.realias(p_watch.open, p_watch.relation::text));
        return next;
    end if;
    name := 'recovery_started_' || p_watch.id;
    if p_watch.supervised is not null and not exists (select from pg_class as c where c.relnamespace = v_schema and c.relname = definitions_of.name) then
        -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
        -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
        statement := format('create index %I on %s ((%s)) where (%s) and (%s) is not null', name, p_watch.relation,
            recovery.realias(p_watch.started, p_watch.relation::text), recovery.realias(p_watch.open, p_watch.relation::text),
            recovery.realias(p_watch.started, p_watch.relation::text));
        return next;
    end if;
    if not recovery.rewrites(p_watch.relation) and p_watch.open !~ '\mr\.\*' then
        select string_agg(format('%I', a.attname), ', ' order by a.attnum) into v_columns
        from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped
          and (a.attnum = any(p_watch.open_columns) or a.attname = 'server_epoch' or a.attname = any(p_watch.key_columns))
        having not bool_or(a.attgenerated <> '' or a.atttypid in ('json'::regtype, 'jsonb'::regtype));
    end if;
    for v_trigger in
        select t.name, t.function, t.event, t.condition
        from (values
            ('recovery_10_insert', 'insert', 'insert', recovery.realias(p_watch.open, 'new')),
            -- Not for the closings, which write their events themselves: they are the runner's statements.
            ('recovery_20_update', 'update', 'update' || coalesce(' of ' || v_columns, ''), format(
                'current_user <> %L or pg_trigger_depth() > 0', (recovery.runner_of(p_watch.relation)).role)),
            ('recovery_25_late', null, 'update', format('(%s) is not true', recovery.realias(p_watch.open, 'old'))),
            ('recovery_30_delete', 'delete', 'delete', recovery.realias(p_watch.open, 'old'))
        ) as t (name, function, event, condition)
        where (t.function is not null or v_columns is not null)
          and not exists (select from pg_trigger as g where g.tgrelid = p_watch.relation and g.tgname = t.name)
    loop
        name := v_trigger.name;
        statement := format('create trigger %I after %s on %s for each row when (%s) execute function recovery.%s()',
            v_trigger.name, v_trigger.event, p_watch.relation, v_trigger.condition,
            coalesce('watch_' || p_watch.id || '_' || v_trigger.function, 'fence_closed'));
        return next;
    end loop;
end
$$;

comment on function recovery.definitions_of(recovery.watch) is
    'The statements that make the index and the triggers of a watch, as far as its table does not have them.';

revoke all on function recovery.definitions_of(recovery.watch) from public;
