create or replace function recovery._follow_ddl()
returns event_trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* What a boot or sweep would do, in the transaction of the change itself: nobody sees a state between. Whatever
   fails here is noted, and the host's statement goes on. */
declare
    v_watch record;
    v_state text;
    v_error text;
    v_hint  text;
begin
    if current_setting('recovery.attaching', true) = 'on' then
        return;  -- our own
    end if;
    for v_watch in
        select w.name
        from recovery._attached_watches() as w
        where tg_tag <> 'ALTER TABLE'
           or w.relation::oid in (select d.objid from pg_event_trigger_ddl_commands() as d)
        order by w.family, w.position
    loop
        begin
            perform recovery._follow_watch(v_watch.name);
            perform recovery._note_blind_watches(v_watch.name);
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint;
            perform recovery._note_broken_watch(v_watch.name, v_state, v_error, v_hint);
        end;
    end loop;
exception when others then
    raise warning 'recovery: %', sqlerrm;
end
$$;

comment on function recovery._follow_ddl() is
    'Event trigger behind what a host may change: follows it at once, or notes the watch that it has broken.';

revoke all on function recovery._follow_ddl() from public;
