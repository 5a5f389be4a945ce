create or replace view agent.runnable as
select m.session_id, m.id as message_id, m.time_created,
       coalesce((select min(p.data ->> 'type') from agent.part as p where p.message_id = m.id
           and p.data ->> 'type' in ('subtask', 'compaction')),
                'prompt') as kind
from agent.message as m
where m.data ->> 'role' = 'user'
  -- Any answer counts, an interrupted one too: what was begun is not silently begun again.
  and not exists (select from agent.message as a where a.session_id = m.session_id and a.data ->> 'role' = 'assistant'
      and a.data ->> 'parentID' = m.id)
  and not exists (
      select from agent.message as a
      where a.session_id = m.session_id and a.data ->> 'role' = 'assistant'
          and (a.time_created, a.id collate "C") > (m.time_created, m.id collate "C")
        and a.data ->> 'parentID' is null)
union all
-- opencode 2: prompts that wait, and those promoted to a message after which no turn has begun.
select i.session_id, i.id, i.time_created, 'prompt'
from agent.session_input as i
where i.promoted_seq is null and not exists (select from agent.session_message as m where m.id = i.id)
union all
select m.session_id, m.id, m.time_created, 'prompt'
from agent.session_message as m
where m.type = 'user'
  and not exists (
      select from agent.session_message as a
      where a.session_id = m.session_id and a.type = 'assistant' and a.seq > m.seq);

comment on view agent.runnable is
    'Prompts, subtasks and compactions that nobody has begun to answer: what an agent server may run after a boot. An '
    'interrupted subtask or compaction is not among them.';
comment on column agent.runnable.session_id is 'Session.';
comment on column agent.runnable.message_id is 'User message that waits for its answer.';
comment on column agent.runnable.time_created is 'Milliseconds since 1970.';
comment on column agent.runnable.kind is 'prompt, subtask or compaction.';
