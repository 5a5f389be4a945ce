create or replace function recovery._add_to_report(p_report jsonb, p_field text, p_counts jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_set(p_report, array[p_field], recovery._add_counts(p_report -> p_field, p_counts))
$$;

comment on function recovery._add_to_report(jsonb, text, jsonb) is
    'A report with counts per watch added to one of its fields (closed, adopted, failed, busy).';

revoke all on function recovery._add_to_report(jsonb, text, jsonb) from public;
