create or replace function agent.tools_of(p_content jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object(
        'id', left(t.value ->> 'id', 100), 'status', left(t.value -> 'state' ->> 'status', 100)) order by t.n)
    from jsonb_array_elements(case when jsonb_typeof(p_content) = 'array' then p_content end)
        with ordinality as t (value, n)
    where t.value ->> 'type' = 'tool' and t.n <= 100
$$;

comment on function agent.tools_of(jsonb) is
    'Id and status of the tools among the first 100 entries of a message of opencode 2: what its events show.';

revoke all on function agent.tools_of(jsonb) from public;
