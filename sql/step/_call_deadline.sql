create or replace function recovery._call_deadline()
returns timestamptz
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The time-out counts from the arrival of the whole CALL, and no setting changes one that runs.
    select case when current_setting('statement_timeout')::interval = interval '0' then 'infinity'
                else statement_timestamp() + current_setting('statement_timeout')::interval - interval '1 second' end
$$;

comment on function recovery._call_deadline() is
    'When boot, sweep and shutdown stop and leave the rest to the next sweep: a second before statement_timeout would '
    'end them half done.';

revoke all on function recovery._call_deadline() from public;
