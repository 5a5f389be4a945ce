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
    v_tell   boolean;
    v_new    boolean;
begin
    raise warning 'recovery: watch "%" is passed over: %', p_watch, p_message;
    select coalesce(nullif(p_hint, ''), format(
        'select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now', w.relation::text)),
        case when p_hint is not null then recovery._table_state(w) end,
        coalesce(w.told < clock_timestamp() - interval '1 hour', true)
    into v_remedy, v_table, v_tell from recovery.watch as w where w.name = p_watch;
    insert into recovery.broken_watch as b (watch, sqlstate, message, remedy, state)
    values (p_watch, p_state, p_message, coalesce(v_remedy, 'attach it again'), v_table)
    on conflict (watch) do update set at = clock_timestamp(), sqlstate = excluded.sqlstate, message = excluded.message,
        remedy = excluded.remedy, state = excluded.state
    returning b.since = b.at into v_new;
    if v_new and v_tell then
        update recovery.watch as w set told = clock_timestamp() where w.name = p_watch;
        insert into recovery.outbox (watch, kind, key, detector, new)
        values (p_watch, 'broken', '', 'recovery', jsonb_build_object(
            'sqlstate', p_state, 'message', p_message, 'remedy', v_remedy));
    end if;
end
$$;

comment on function recovery._note_broken_watch(text, text, text, text) is
    'Notes that a watch fails, with the statement that repairs it, so that its rows wait and all others are served; '
    'the first time in an hour it is an event. p_hint, even an empty one, says that it fails as it is defined, and '
    'not by what a row holds.';

revoke all on function recovery._note_broken_watch(text, text, text, text) from public;
