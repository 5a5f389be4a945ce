create or replace function recovery.run(p_runner integer, p_sql text, p_task recovery.task default null, p_mode text default 'read')
returns setof jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query execute format('select g from recovery.gate_%s($1, $2, $3) as g', p_runner) using p_sql, p_task, p_mode;
    -- What a plain SET changes outlives the functions in which it stands: the caller's session would go on
    -- with it, and an unqualified name would be the host's. Raising takes it back.
    if current_setting('search_path') <> 'pg_catalog, pg_temp' then
        perform recovery.fail('42501', format('code of %s sets search_path for the whole session',
            (select r.owner from recovery.runner as r where r.id = p_runner)), 'Let it use SET LOCAL, or a SET clause of the function.');
    end if;
end
$$;

comment on function recovery.run(integer, text, recovery.task, text) is
    'Executes a statement about watched rows with the rights of their owner''s runner: the only way in which code of the host runs because of us. Mode read or write: each row of its answer is one json value; write fires the host''s triggers under its own search_path and all deferred ones at once; do: no answer.';

revoke all on function recovery.run(integer, text, recovery.task, text) from public;
