create or replace function recovery._trigger_definitions(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security invoker
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
    v_was     constant text := recovery._realias_sql(p_watch.open, 'old');
    v_is      constant text := recovery._realias_sql(p_watch.open, 'new');
    v_writes  constant text := format('(current_user <> %L or pg_trigger_depth() > 0)',
                                      (recovery._runner_of(p_watch.relation)).role);
    v_moves   text;
    v_moved   text := '';
    v_columns text;
    v_owner   text;
    v_trigger record;
begin
    if not recovery._has_rewriting_trigger(p_watch.relation) and p_watch.open !~ '\mr\.\*' then
        select string_agg(format('%I', a.attname), ', ' order by a.attnum) into v_columns
        from pg_attribute as a
        where a.attrelid = p_watch.relation and not a.attisdropped
          and (a.attname = 'server_epoch' or a.attnum = any(p_watch.owner_columns)
               or a.attnum = any(p_watch.open_columns) and strpos(p_watch.open, 'r.' || quote_ident(a.attname)) > 0)
        having not bool_or(a.attgenerated <> '' or a.atttypid in ('json'::regtype, 'jsonb'::regtype));
    end if;
    -- Of an open row: whether it was handed to another server.
    v_owner := case when v_columns is null then '' else (
        select ' of ' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum = any(p_watch.owner_columns)) end;
    if (select c.relkind from pg_class as c where c.oid = p_watch.relation) = 'p' then
        -- A row may be on its way between partitions.
        v_moves := format($sql$current_setting('recovery.move_%s', true) = 'on'$sql$, p_watch.id);
        v_moved := ' or ' || v_moves;
    end if;
    for v_trigger in
        select t.name, t.function, t.event,
               t.condition || case when v_moves is null or t.event ~ 'update' then '' else ' and '
                   || v_writes end as condition
        from (values
            ('zz_recovery_10_insert', 'before_insert', 'before insert',
                case when recovery._is_decided_late(p_watch) then '(new.server_epoch is null' || v_moved || ')'
                     else '((' || v_is || ') is distinct from (new.server_epoch is not null)' || v_moved || ')' end),
            ('zz_recovery_20_update', 'before_update', 'before update',
                case when v_moves is null then '(' || v_was || ') is not true' else v_writes end),
            ('zz_recovery_25_null', 'before_update', 'before update of server_epoch',
                case when v_moves is null then
                    'new.server_epoch is null and old.server_epoch is not null and (' || v_was || ') and '
                        || v_writes end),
            ('zz_recovery_27_owner', 'before_update', 'before update' || v_owner,
                case when v_moves is null and p_watch.owner is not null then '(' || v_was || ') and ' || v_writes end),
            ('zz_recovery_30_delete', 'before_delete', 'before delete', v_moves),
            ('recovery_10_insert', 'insert', 'after insert', '(' || v_is || v_moved || ')'),
            ('recovery_20_update', 'update', 'after update' || coalesce(' of ' || v_columns, ''), v_writes),
            ('recovery_30_delete', 'delete', 'after delete',
                '(' || v_was || $sql$ or current_setting('recovery.server_epoch', true) <> ''$sql$ || v_moved || ')'),
            ('recovery_40_truncate', 'truncate', 'before truncate', '')
        ) as t (name, function, event, condition)
        where t.condition is not null
    loop
        name := v_trigger.name;
        statement := recovery._render_sql(
            'create trigger {name!i} {event} on {relation} for each {level} execute function '
            'recovery.watch_{id}_{function}()',
            jsonb_build_object(
                'name', v_trigger.name,
                'event', v_trigger.event,
                'relation', p_watch.relation,
                'level', case v_trigger.function when 'truncate' then 'statement'
                              else 'row when (' || v_trigger.condition || ')' end,
                'id', p_watch.id,
                'function', v_trigger.function));
        return next;
    end loop;
end
$function$;

comment on function recovery._trigger_definitions(recovery.watch) is
    'The statements that make the triggers of a watch, in the order in which they fire.';

revoke all on function recovery._trigger_definitions(recovery.watch) from public;
