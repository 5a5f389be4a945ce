create or replace function agent.outcome_of(p_part agent.part)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The child's id stays in the error; and if the child had finished, its last words: they are not lost with the
    -- parent.
    with link as (
        select coalesce(p_part.data -> 'state' -> 'metadata' ->> 'sessionId',
            agent.child_of(p_part) ->> 'sessionId') as id
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
    select jsonb_strip_nulls(jsonb_build_object('sessionId', l.id, 'result', (select w.text from words as w)))
        from link as l
$$;

comment on function agent.outcome_of(agent.part) is
    'For a task in flight: {"sessionId": ...} of its child, and "result": the child''s last text, if the child had '
    'finished.';

revoke all on function agent.outcome_of(agent.part) from public;
