create or replace function recovery.detach(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_schema text;
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery.fail('RC008', format('%s is not watched', p_table), 'See recovery.watch for the tables that are.');
    end if;
    select n.nspname into v_schema from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table;
    perform recovery.drop_triggers(v_watch);
    execute format('drop index if exists %I.%I', v_schema, 'recovery_open_' || v_watch.id);
    execute format('drop index if exists %I.%I', v_schema, 'recovery_started_' || v_watch.id);
    if (v_watch.undo -> 'column')::boolean then
        execute format('alter table %s drop column if exists server_epoch', p_table);
    elsif v_watch.undo ->> 'default' is not null then
        execute format('alter table %s alter column server_epoch set default %s', p_table, v_watch.undo ->> 'default');
    else
        execute format('alter table %s alter column server_epoch drop default', p_table);
    end if;
    if v_watch.undo ->> 'grants' <> '' then
        execute format('revoke %s on table %s from recovery_owner', v_watch.undo ->> 'grants', p_table);
    end if;
    delete from recovery.failure as f where f.watch = v_watch.name;
    delete from recovery.cancellation as c where c.watch = v_watch.name;
    delete from recovery.touch as t where t.watch = v_watch.name;
    delete from recovery.watch as w where w.id = v_watch.id;
    -- The schema grant goes with the last watch in that schema for which it was made.
    if exists (select from recovery.watch as w join pg_class as c on c.oid = w.relation join pg_namespace as n on n.oid = c.relnamespace
               where n.nspname = v_schema) then
        if (v_watch.undo -> 'usage')::boolean then
            update recovery.watch as w set undo = w.undo || '{"usage": true}'
            where w.id = (select min(o.id) from recovery.watch as o join pg_class as c on c.oid = o.relation
                          join pg_namespace as n on n.oid = c.relnamespace where n.nspname = v_schema);
        end if;
    elsif (v_watch.undo -> 'usage')::boolean then
        execute format('revoke usage on schema %I from recovery_owner', v_schema);
    end if;
end
$$;

comment on function recovery.detach(regclass) is
    'Stops watching a table and restores it as it was before recovery.attach. Its events stay. RC008 if it is not watched.';

revoke all on function recovery.detach(regclass) from public;
