create or replace function agent.child_of(p_part agent.part)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The child session is made a moment before its id is written to the task that waits for it. A server
    -- that died in between left only session.parent_id. Unlinked children are given to unlinked tasks in
    -- the order in which both began, those with the task's own title first.
    with task as (
        select t.id, t.data -> 'state' -> 'input' ->> 'description' as description,
               row_number() over (partition by t.data -> 'state' -> 'input' ->> 'description' order by t.time_created,
                   t.id collate "C") as n
        from agent.part as t
        where t.session_id = p_part.session_id and t.data ->> 'type' = 'tool' and t.data ->> 'tool' = 'task'
          and t.data -> 'state' ->> 'status' in ('pending', 'running')
          and t.data -> 'state' -> 'metadata' ->> 'sessionId' is null
    ),
    child as (
        select s.id, s.time_created, s.title
        from agent.session as s
        where s.parent_id = p_part.session_id and s.time_created >= p_part.time_created
          and not exists (
              select from agent.part as o
              where o.session_id = p_part.session_id and o.data ->> 'tool' = 'task'
                and o.data -> 'state' -> 'metadata' ->> 'sessionId' = s.id)
    ),
    ranked as (
        select c.id, row_number() over (order by c.time_created, c.id collate "C") as n
        from child as c, task as t
        where t.id = p_part.id
          and (starts_with(c.title, t.description || ' (@')
               or not exists (select from child as o where starts_with(o.title, t.description || ' (@')))
    )
    select jsonb_build_object('sessionId', r.id)
    from ranked as r join task as t on t.id = p_part.id and t.n = r.n
$$;

comment on function agent.child_of(agent.part) is
    'For a task in flight that carries no child session yet: {"sessionId": ...} of the child that session.parent_id '
    'shows, else null.';

revoke all on function agent.child_of(agent.part) from public;
