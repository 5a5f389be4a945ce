create or replace function recovery._fit_lock_wait(p_lock_wait interval)
returns interval
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Ending one server takes up to three such waits.
    select case when isfinite(d.until) then least(p_lock_wait, (d.until - statement_timestamp()) / 6)
        else p_lock_wait end
    from (values (recovery._call_deadline())) as d (until)
$$;

comment on function recovery._fit_lock_wait(interval) is
    'A lock wait, shortened so that several fit into the caller''s statement_timeout.';

revoke all on function recovery._fit_lock_wait(interval) from public;
