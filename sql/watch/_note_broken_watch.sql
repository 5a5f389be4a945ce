create or replace function recovery._note_broken_watch(
    p_watch text, p_state text, p_message text, p_hint text default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_remedy text;
    v_table  text;
    v_new    boolean;
begin
    raise warning 'recovery: watch "%" is passed over: %', p_watch, p_message;
    select coalesce(nullif(p_hint, ''), format(
        'select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now', w.relation::text)),
        recovery._table_state(w)
    into v_remedy, v_table from recovery.watch as w where w.name = p_watch;
    insert into recovery.broken_watch as b (watch, sqlstate, message, remedy, state)
    values (p_watch, p_state, p_message, coalesce(v_remedy, 'attach it again'), v_table)
    on conflict (watch) do update set at = clock_timestamp(), sqlstate = excluded.sqlstate, message = excluded.message,
        remedy = excluded.remedy, state = excluded.state
    returning b.since = b.at into v_new;
    if v_new then
        insert into recovery.event (watch, kind, key, detector, new)
        values (p_watch, 'broken', '', 'recovery', jsonb_build_object(
            'sqlstate', p_state, 'message', p_message, 'remedy', v_remedy));
    end if;
end
$$;

comment on function recovery._note_broken_watch(text, text, text, text) is
    'Notes that a watch fails, with the statement that repairs it, so that its rows wait and all others are served; '
    'the first time it is an event.';

revoke all on function recovery._note_broken_watch(text, text, text, text) from public;
