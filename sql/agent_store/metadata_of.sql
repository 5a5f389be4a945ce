create or replace function agent.metadata_of(p_part agent.part)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The child's id stays in the error; and if the child had finished, its last words: they are not lost with the
    -- parent. Of an interrupted tool opencode shows the model metadata.output, and no other key.
    with state as (
        select agent.object_of(p_part.data -> 'state' -> 'metadata') as metadata
    ),
    link as (
        select coalesce(s.metadata ->> 'sessionId', agent.child_of(p_part) ->> 'sessionId') as id from state as s
    ),
    answer as (
        select m.id, m.data
        from link as l join agent.message as m on m.session_id = l.id
        where m.data ->> 'role' = 'assistant'
        order by m.time_created desc, m.id collate "C" desc
        limit 1
    ),
    words as (
        select p.data ->> 'text' as text
        from answer as a join agent.part as p on p.message_id = a.id
        where a.data -> 'time' ->> 'completed' is not null and a.data -> 'error' ->> 'name' is null
          and p.data ->> 'type' = 'text' and p.data ->> 'text' <> ''
        order by p.time_created desc, p.id collate "C" desc
        limit 1
    )
    select s.metadata || jsonb_strip_nulls(jsonb_build_object(
        'sessionId', l.id,
        'output', (
            select concat_ws(E'\n\n',
                case when jsonb_typeof(s.metadata -> 'output') = 'string' then nullif(s.metadata ->> 'output', '') end,
                w.text)
            from words as w)))
    from state as s, link as l
$$;

comment on function agent.metadata_of(agent.part) is
    'Metadata of a task in flight, with what is known of its child: sessionId, and in output the child''s last text, '
    'if the child had finished.';

revoke all on function agent.metadata_of(agent.part) from public;
