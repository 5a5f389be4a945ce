create or replace function recovery._run_briefly(p_statement text, p_lock_timeout interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
begin
    -- By the transaction, not by the session: behind a pooler that is somebody else's.
    perform set_config('lock_timeout', greatest(ceil(extract(epoch from p_lock_timeout) * 1000), 1) || 'ms', true);
    execute p_statement;
end
$$;

comment on function recovery._run_briefly(text, interval) is
    'Executes a statement with the rights of its caller, and waits for each lock no longer than that: 55P03. Who waits '
    'for a strong lock makes everybody behind it wait, too.';

revoke all on function recovery._run_briefly(text, interval) from public;
