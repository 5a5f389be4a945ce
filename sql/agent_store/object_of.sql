create or replace function agent.object_of(p_value pg_catalog.jsonb)
returns pg_catalog.jsonb
language sql
immutable
security invoker
as $$
    -- Without a SET clause, so that it is inlined: a closing asks it several times a row. All names are qualified.
    select case when pg_catalog.jsonb_typeof(p_value) operator(pg_catalog.=) 'object' then p_value
        else '{}'::pg_catalog.jsonb end
$$;

comment on function agent.object_of(jsonb) is
    'The value if it is an object, else an empty one: a malformed row must close too.';

revoke all on function agent.object_of(jsonb) from public;
