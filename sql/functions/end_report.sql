create or replace function recovery.end_report(p_report jsonb, p_start timestamptz)
returns jsonb
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select p_report || jsonb_build_object('ms', round(extract(epoch from clock_timestamp() - p_start) * 1000, 3))
$$;

comment on function recovery.end_report(jsonb, timestamptz) is 'A report with the milliseconds it took.';

revoke all on function recovery.end_report(jsonb, timestamptz) from public;
