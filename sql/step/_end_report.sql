create or replace function recovery._end_report(p_report jsonb, p_start timestamptz)
returns jsonb
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select p_report || jsonb_build_object(
        'suspected', coalesce((select jsonb_agg(s.epoch) from recovery.server as s where s.ended is null
            and s.suspected is not null), '[]'),
        'ms', round(extract(epoch from clock_timestamp() - p_start) * 1000, 3))
$$;

comment on function recovery._end_report(jsonb, timestamptz) is
    'A report with the milliseconds it took, and the servers whose keeper connection is gone.';

revoke all on function recovery._end_report(jsonb, timestamptz) from public;
