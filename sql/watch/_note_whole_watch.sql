create or replace function recovery._note_whole_watch(p_watch text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from recovery.broken_watch as b where b.watch = p_watch;
    if found then
        insert into recovery.event (watch, kind, key, detector) values (p_watch, 'repaired', '', 'recovery');
    end if;
end
$$;

comment on function recovery._note_whole_watch(text) is 'Notes that a watch that failed works again; it is an event.';

revoke all on function recovery._note_whole_watch(text) from public;
