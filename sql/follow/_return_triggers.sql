create or replace function recovery._return_triggers()
returns event_trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_released text := nullif(current_setting('recovery.released', true), '');
    v_watch    recovery.watch;
begin
    if v_released is null then
        return;
    end if;
    perform set_config('recovery.released', '', true);
    for v_watch in
        select w.* from recovery.watch as w
        where w.relation::oid = any(string_to_array(v_released, ' ')::oid[])
          and not exists (select from recovery.broken_watch as b where b.watch = w.name)
    loop
        perform recovery._make_definitions(v_watch);
        perform recovery._comment_triggers(v_watch.relation);
    end loop;
exception when others then
    raise warning 'recovery: triggers are missing, attach the table again: %', sqlerrm;
end
$$;

comment on function recovery._return_triggers() is
    'Event trigger behind ALTER TABLE: makes the triggers anew that recovery._release_columns took away.';

revoke all on function recovery._return_triggers() from public;
