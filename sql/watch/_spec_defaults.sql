create or replace function recovery._spec_defaults(p_options jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- As recovery.attach declares and writes them.
    select '{"position": 100, "events": "all"}'
        || case when jsonb_typeof(p_options -> 'requeue') = 'object'
            then '{"max_attempts": 3, "free_reasons": ["shutdown", "drain_expired"]}' else '{}' end::jsonb
        || case when p_options ->> 'alive' is not null then '{"alive_lease": "00:00:15"}' else '{}' end::jsonb
        || case when p_options ->> 'not_before' is not null
            then '{"backoff": "00:00:01", "max_backoff": "00:05:00"}' else '{}' end::jsonb
$$;

comment on function recovery._spec_defaults(jsonb) is
    'What recovery.attach does where an option is not given, as recovery.watch.spec has it, beside the options that '
    'are.';

revoke all on function recovery._spec_defaults(jsonb) from public;
