create or replace function recovery._run_as_owner(
    p_runner integer, p_sql text, p_task recovery.task default null, p_mode text default 'read'
)
returns setof jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_call   text := format('recovery_private.run_%s($1, $2, $3) as g', p_runner);
    v_rows   jsonb[];
    v_done   boolean := false;
    v_before text[];
    v_left   record;
    v_owner  regrole;
begin
    if p_mode in ('read', 'plan', 'compile') then
        -- Reading leaves nothing behind: what host code has written or set meanwhile, and the deferred triggers
        -- that it has queued (to run later, as whoever is the user then), go back with this block.
        begin
            execute 'select array_agg(g) from ' || v_call into v_rows using p_sql, p_task, p_mode;
            v_done := true;
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            if not v_done then
                raise;
            end if;
        end;
        return query select a.answer from unnest(v_rows) as a (answer);
        return;
    end if;
    v_before := array(select o.what from recovery._session_objects() as o);
    return query execute 'select g from ' || v_call using p_sql, p_task, p_mode;
    select r.owner into v_owner from recovery.runner as r where r.id = p_runner;
    -- Some things outlive the functions, and the transaction, in which host code makes them; the caller's session
    -- would go on with them. A plain SET of search_path and a cursor WITH HOLD are refused, which takes them back;
    -- temporary objects go.
    for v_left in
        select o.what, o.removal from recovery._session_objects() as o where o.what <> all (v_before) order by o.what
    loop
        if v_left.removal is null then
            perform recovery._fail('42501', format('code of %s leaves the %s in the session', v_owner, v_left.what),
                'Let it use one without WITH HOLD.');
        end if;
        perform recovery._run_as_owner(p_runner, v_left.removal, null, 'make');
    end loop;
    if current_setting('search_path') <> 'pg_catalog, pg_temp' then
        perform recovery._fail('42501', format('code of %s sets search_path for the whole session', v_owner),
            'Let it use SET LOCAL, or a SET clause of the function.');
    end if;
end
$$;

comment on function recovery._run_as_owner(integer, text, recovery.task, text) is
    'Executes a statement about watched rows with the rights of their owner''s runner: the only way in which code of '
    'the host runs because of us. Mode read, plan, compile: its answer, and nothing else stays; write: a closing, '
    'which fires the host''s triggers under its own search_path and all deferred ones at once; make: definitions of '
    'our own.';

revoke all on function recovery._run_as_owner(integer, text, recovery.task, text) from public;
