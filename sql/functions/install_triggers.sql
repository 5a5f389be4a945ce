create or replace function recovery.install_triggers(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL reads and plans a WHEN clause anew for each statement, half a microsecond for each of its
   nodes, and a streaming update should not pay for that. So the update trigger names the columns that its
   conditions read and its function decides; recovery_25_late fences the rows that are closed, whatever
   columns are written. Where naming columns is not enough, because a BEFORE trigger of the host may change
   one that the statement does not name, or does not help, because work streams into the json that says
   whether it is open, one trigger on every update does both.                                         */
declare
    v_columns text;
    v_trigger record;
begin
    perform recovery.drop_triggers(p_watch.relation);
    if not recovery.rewrites(p_watch.relation) and p_watch.open !~ '\mr\.\*' then
        select string_agg(format('%I', a.attname), ', ' order by a.attnum) into v_columns
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnum in (
            select d.refobjsubid from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = (
                select i.indexrelid from pg_index as i join pg_class as c on c.oid = i.indexrelid
                where i.indrelid = p_watch.relation and c.relname = 'recovery_open_' || p_watch.id)
              and d.refclassid = 'pg_class'::regclass and d.refobjid = p_watch.relation)
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
        where t.function is not null or v_columns is not null
    loop
        execute format('create trigger %I after %s on %s for each row when (%s) execute function recovery.%s()',
            v_trigger.name, v_trigger.event, p_watch.relation, v_trigger.condition,
            coalesce('watch_' || p_watch.id || '_' || v_trigger.function, 'fence_closed'));
        execute format('comment on trigger %I on %s is %L', v_trigger.name, p_watch.relation,
            'pg-recovery: fence and event of work in flight; made by recovery.attach, removed by recovery.detach.');
    end loop;
end
$$;

comment on function recovery.install_triggers(recovery.watch) is 'Makes the triggers of a watch, in place of those that its table has.';

revoke all on function recovery.install_triggers(recovery.watch) from public;
