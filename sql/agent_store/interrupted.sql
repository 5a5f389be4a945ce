create or replace function agent.interrupted(p_metadata pg_catalog.jsonb, p_reason pg_catalog.text)
returns pg_catalog.jsonb
language sql
stable
security invoker
as $$
    -- Of an interrupted tool opencode sends the model metadata.output where that is a string, as the tool's result,
    -- and else state.error, as its error: the reason must stand in both. Without a SET clause, so that it is inlined.
    -- All names are qualified.
    select agent.object_of(p_metadata)
        operator(pg_catalog.||) case when pg_catalog.jsonb_typeof(p_metadata operator(pg_catalog.->) 'output')
            operator(pg_catalog.=) 'string'
        then pg_catalog.jsonb_build_object('interrupted', true,
            'output', agent.told(p_metadata operator(pg_catalog.->>) 'output', p_reason))
        else '{"interrupted": true}'::pg_catalog.jsonb end
$$;

comment on function agent.interrupted(jsonb, text) is
    'Metadata of a tool that was interrupted: marked so, and the reason at the end of its output, if it has one.';

revoke all on function agent.interrupted(jsonb, text) from public;
