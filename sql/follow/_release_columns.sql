create or replace function recovery._release_columns()
returns event_trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* PostgreSQL refuses to drop a column that the condition of a trigger reads, or to change its type. What is open must
   stand in such conditions, for the sake of streaming updates; so our triggers step aside before the statement and
   come back behind it (recovery._return_triggers). What the statement will do, nothing says at this point but its
   text. With the rights of whoever alters the table. */
declare
    v_watch  recovery.watch;
    v_schema regnamespace;
begin
    if not has_schema_privilege('recovery', 'usage')
        or not has_function_privilege('recovery._watches_in_the_way(text)', 'execute')
    then
        return;
    end if;
    for v_watch in select w.* from recovery._watches_in_the_way(current_query()) as w loop
        perform recovery._drop_triggers(v_watch.relation);
        -- Its expressions may not fit the new type; PostgreSQL would make it anew now anyway.
        select c.relnamespace::regnamespace into v_schema from pg_class as c where c.oid = v_watch.relation;
        execute format('drop index if exists %1$s.recovery_open_%2$s, %1$s.recovery_started_%2$s',
            v_schema, v_watch.id);
        perform set_config('recovery.released',
            concat_ws(' ', nullif(current_setting('recovery.released', true), ''), v_watch.relation::oid), true);
    end loop;
exception when others then
    raise warning 'recovery: triggers stay in the way of this statement: %', sqlerrm;
end
$$;

comment on function recovery._release_columns() is
    'Event trigger before ALTER TABLE: takes the triggers of a watch away where the statement seems to drop a column '
    'that they read, or to change its type.';

revoke all on function recovery._release_columns() from public;
