create or replace function agent.interrupted_content(p_content jsonb, p_ms bigint)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The shape of opencode 2's own clean-up, which has the same words for a restart, an abort and a lost process.
    -- Arguments that are still arriving are text there; of an error its schema wants an object.
    select coalesce(jsonb_agg(
        case when t.value @? 'strict $ ? (@.type == "tool" && (@.state.status == "pending"
            || @.state.status == "running" || @.state.status == "streaming"))'
        then t.value || jsonb_build_object(
            'state', jsonb_build_object(
                'status', 'error',
                'input', agent.object_of(t.value -> 'state' -> 'input'),
                'content', case when jsonb_typeof(t.value -> 'state' -> 'content') = 'array'
                    then t.value -> 'state' -> 'content' else '[]' end,
                'structured', agent.object_of(t.value -> 'state' -> 'structured'),
                'error', jsonb_build_object('type', 'unknown', 'message', 'Tool execution interrupted')),
            'time', agent.object_of(t.value -> 'time') || jsonb_build_object('completed', p_ms))
        else t.value end
        order by t.n), p_content)
    from jsonb_array_elements(case when jsonb_typeof(p_content) = 'array' then p_content end)
        with ordinality as t (value, n)
$$;

comment on function agent.interrupted_content(jsonb, bigint) is
    'Content of a message of opencode 2 with its open tools interrupted at a time in milliseconds.';

revoke all on function agent.interrupted_content(jsonb, bigint) from public;
