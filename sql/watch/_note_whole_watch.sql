create or replace function recovery._note_whole_watch(p_watch text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state text;
begin
    delete from recovery.broken_watch as b where b.watch = p_watch returning b.state into v_state;
    if v_state is not null then
        update recovery.watch as w set told = null where w.name = p_watch;
        insert into recovery.outbox (watch, kind, key, detector) values (p_watch, 'repaired', '', 'recovery');
    end if;
end
$$;

comment on function recovery._note_whole_watch(text) is
    'Notes that a watch that failed works again; it is an event, unless a row had been in the way.';

revoke all on function recovery._note_whole_watch(text) from public;
