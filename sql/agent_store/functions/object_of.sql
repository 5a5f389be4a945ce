create or replace function agent.object_of(p_value jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(p_value) = 'object' then p_value else '{}'::jsonb end
$$;

comment on function agent.object_of(jsonb) is 'The value if it is an object, else an empty one: a malformed row must close too.';

revoke all on function agent.object_of(jsonb) from public;
