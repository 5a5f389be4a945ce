create or replace function recovery._new_report(p_ended bigint[])
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('ended', to_jsonb(p_ended), 'closed', '{}'::jsonb, 'adopted', '{}'::jsonb, 'failed',
        '{}'::jsonb, 'busy', '{}'::jsonb, 'more', false)
$$;

comment on function recovery._new_report(bigint[]) is
    'An empty report: epochs that ended, and counts per watch of rows closed, failed, busy; more: it stopped in time, '
    'and the rest is left to the next sweep.';

revoke all on function recovery._new_report(bigint[]) from public;
