create or replace function recovery._note_broken_watch(p_watch text, p_state text, p_message text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    raise warning 'recovery: watch "%" is passed over: %', p_watch, p_message;
    insert into recovery.broken_watch as b (watch, sqlstate, message) values (p_watch, p_state, p_message)
    on conflict (watch) do update set at = excluded.at, sqlstate = excluded.sqlstate, message = excluded.message;
end
$$;

comment on function recovery._note_broken_watch(text, text, text) is
    'Notes that a watch fails, so that its rows wait and all others are served.';

revoke all on function recovery._note_broken_watch(text, text, text) from public;
