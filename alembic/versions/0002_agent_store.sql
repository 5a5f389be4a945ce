select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), true);
--;
select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), false)
where pg_catalog.current_setting('recovery.migrator_path') operator(pg_catalog.<>) pg_catalog.current_setting('search_path');
--;
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
--;
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp';
--;
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), true);
--;
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), false)
where pg_catalog.current_setting('recovery.migrator_quotes') operator(pg_catalog.<>) pg_catalog.current_setting('quote_all_identifiers');
--;
select pg_catalog.set_config('quote_all_identifiers', 'off', true);
--;
select pg_catalog.set_config('quote_all_identifiers', 'off', false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) 'off';
--;
set check_function_bodies = off;
--;
-- sql/agent_store/schema.sql
create schema agent;
--;
comment on schema agent is
    'A store for agent servers after opencode''s data model: sessions, messages, parts. Watched by pg-recovery.';
--;
revoke all on schema agent from public;
--;
-- sql/agent_store/hold.sql
create table agent.hold (
    id           text   not null,
    session_id   text   not null,
    part_id      text,
    kind         text   not null,
    until        bigint,
    time_created bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint,
    time_ended   bigint,
    data         jsonb  not null default '{}',
    constraint hold_pkey primary key (id),
    constraint hold_kind_check check (kind in ('permission', 'question', 'retry')),
    constraint hold_until_check check (kind <> 'retry' or until is not null)
) with (fillfactor = 85);
--;
create index hold_session_idx on agent.hold (session_id);
--;
comment on table agent.hold is
    'Work that waits for a human (permission, question) or for the point in time at which a provider may be asked '
    'again (retry): no timeout runs meanwhile. It ends with the server that owns it.';
--;
comment on column agent.hold.id is 'Id of the request (per_..., que_..., or any).';
--;
comment on column agent.hold.session_id is 'Session that waits.';
--;
comment on column agent.hold.part_id is 'Tool part that waits; null: the whole session.';
--;
comment on column agent.hold.kind is 'permission, question or retry.';
--;
comment on column agent.hold.until is 'Milliseconds since 1970: over by itself then; required for retry.';
--;
comment on column agent.hold.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.hold.time_ended is
    'Milliseconds since 1970: answered, or ended with its owner; the clock of the tool goes on from there.';
--;
comment on column agent.hold.data is 'What is asked.';
--;
comment on index agent.hold_session_idx is 'Holds of a session.';
--;
-- sql/agent_store/message.sql
create table agent.message (
    id           text   not null,
    session_id   text   not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint message_pkey primary key (id)
) with (fillfactor = 85);
--;
create index message_session_idx on agent.message (session_id, time_created, id collate "C");
--;
comment on table agent.message is 'A turn of the user or the assistant.';
--;
comment on column agent.message.id is 'Id of the message (msg_...).';
--;
comment on column agent.message.session_id is 'Its session.';
--;
comment on column agent.message.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.message.time_updated is 'Milliseconds since 1970.';
--;
comment on column agent.message.data is 'The message; an assistant message without time.completed is in flight.';
--;
comment on index agent.message_session_idx is 'Messages of a session in order.';
--;
-- sql/agent_store/part.sql
create table agent.part (
    id           text   not null,
    message_id   text   not null,
    session_id   text   not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint part_pkey primary key (id)
) with (fillfactor = 85);
--;
create index part_message_idx on agent.part (message_id, id collate "C");
--;
create index part_session_idx on agent.part (session_id);
--;
comment on table agent.part is 'A part of a message: text, reasoning, a tool call, a step.';
--;
comment on column agent.part.id is 'Id of the part (prt_...).';
--;
comment on column agent.part.message_id is 'Its message.';
--;
comment on column agent.part.session_id is 'Its session.';
--;
comment on column agent.part.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.part.time_updated is 'Milliseconds since 1970.';
--;
comment on column agent.part.data is
    'The part; a tool that is pending or running, or text and reasoning with a start and no end, is in flight.';
--;
comment on index agent.part_message_idx is 'Parts of a message in order.';
--;
comment on index agent.part_session_idx is 'Parts of a session.';
--;
-- sql/agent_store/session.sql
create table agent.session (
    id                 text   not null,
    project_id         text,
    workspace_id       text,
    parent_id          text,
    slug               text,
    directory          text,
    path               text,
    title              text,
    version            text,
    share_url          text,
    summary_additions  bigint,
    summary_deletions  bigint,
    summary_files      bigint,
    summary_diffs      text,
    metadata           text,
    cost               double precision not null default 0,
    tokens_input       bigint not null default 0,
    tokens_output      bigint not null default 0,
    tokens_reasoning   bigint not null default 0,
    tokens_cache_read  bigint not null default 0,
    tokens_cache_write bigint not null default 0,
    revert             text,
    permission         text,
    agent              text,
    model              text,
    time_created       bigint not null,
    time_updated       bigint not null,
    time_compacting    bigint,
    time_archived      bigint,
    constraint session_pkey primary key (id)
);
--;
create index session_parent_idx on agent.session (parent_id) where parent_id is not null;
--;
comment on table agent.session is
    'A conversation; a subagent has its own, whose parent_id is the session that started it.';
--;
comment on column agent.session.id is 'Id of the session (ses_...).';
--;
comment on column agent.session.project_id is 'Project.';
--;
comment on column agent.session.workspace_id is 'Workspace.';
--;
comment on column agent.session.parent_id is
    'Session of the parent agent. No foreign key: a store may be loaded in any order.';
--;
comment on column agent.session.slug is 'Short name.';
--;
comment on column agent.session.directory is 'Working directory.';
--;
comment on column agent.session.path is 'Path below the directory.';
--;
comment on column agent.session.title is 'Title.';
--;
comment on column agent.session.version is 'Version of the agent server that made it.';
--;
comment on column agent.session.share_url is 'Public address, if shared.';
--;
comment on column agent.session.summary_additions is 'Lines added.';
--;
comment on column agent.session.summary_deletions is 'Lines deleted.';
--;
comment on column agent.session.summary_files is 'Files changed.';
--;
comment on column agent.session.summary_diffs is 'Diffs, JSON text kept as it is.';
--;
comment on column agent.session.metadata is 'JSON text kept as it is.';
--;
comment on column agent.session.cost is 'Cost so far.';
--;
comment on column agent.session.tokens_input is 'Input tokens so far.';
--;
comment on column agent.session.tokens_output is 'Output tokens so far.';
--;
comment on column agent.session.tokens_reasoning is 'Reasoning tokens so far.';
--;
comment on column agent.session.tokens_cache_read is 'Tokens read from the cache so far.';
--;
comment on column agent.session.tokens_cache_write is 'Tokens written to the cache so far.';
--;
comment on column agent.session.revert is 'State of a revert, JSON text kept as it is; never touched by recovery.';
--;
comment on column agent.session.permission is 'Permission rules, JSON text kept as it is.';
--;
comment on column agent.session.agent is 'Agent.';
--;
comment on column agent.session.model is 'Model, JSON text kept as it is.';
--;
comment on column agent.session.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.session.time_updated is 'Milliseconds since 1970.';
--;
comment on column agent.session.time_compacting is 'Milliseconds since 1970; set while the session is being compacted.';
--;
comment on column agent.session.time_archived is 'Milliseconds since 1970.';
--;
comment on index agent.session_parent_idx is 'Children of a session: trees close together.';
--;
-- sql/agent_store/session_input.sql
create table agent.session_input (
    id           text   not null,
    session_id   text   not null,
    prompt       text   not null,
    delivery     text,
    admitted_seq bigint,
    promoted_seq bigint,
    time_created bigint not null,
    constraint session_input_pkey primary key (id)
);
--;
create index session_input_session_idx on agent.session_input (session_id);
--;
comment on table agent.session_input is
    'A prompt of opencode 2 as it came in. Until it is promoted to a message it waits, and recovery leaves it so.';
--;
comment on column agent.session_input.id is 'Id of the message that it becomes (msg_...).';
--;
comment on column agent.session_input.session_id is 'Its session.';
--;
comment on column agent.session_input.prompt is 'The prompt, JSON text kept as it is.';
--;
comment on column agent.session_input.delivery is 'How it is delivered: steer or queue.';
--;
comment on column agent.session_input.admitted_seq is 'Place in the session at which it came in.';
--;
comment on column agent.session_input.promoted_seq is 'Place of its message; null: it waits.';
--;
comment on column agent.session_input.time_created is 'Milliseconds since 1970.';
--;
comment on index agent.session_input_session_idx is 'Prompts of a session.';
--;
-- sql/agent_store/session_message.sql
create table agent.session_message (
    id           text   not null,
    session_id   text   not null,
    type         text   not null,
    seq          bigint not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint session_message_pkey primary key (id)
) with (fillfactor = 85);
--;
create index session_message_session_idx on agent.session_message (session_id, seq);
--;
comment on table agent.session_message is
    'A message of opencode 2, which keeps a turn in one row: text, reasoning and tools are entries of data.content.';
--;
comment on column agent.session_message.id is 'Id of the message (msg_...).';
--;
comment on column agent.session_message.session_id is 'Its session.';
--;
comment on column agent.session_message.type is 'user, assistant, shell, synthetic, system, compaction and others.';
--;
comment on column agent.session_message.seq is 'Its place in the session.';
--;
comment on column agent.session_message.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.session_message.time_updated is 'Milliseconds since 1970.';
--;
comment on column agent.session_message.data is
    'The message; of an assistant or a shell without time.completed, or with a tool that is pending or running: in '
    'flight.';
--;
comment on index agent.session_message_session_idx is 'Messages of a session in order.';
--;
-- sql/agent_store/links.sql
-- After the tables, which are made in the order of their names.
alter table agent.message
    add constraint message_session_fkey foreign key (session_id) references agent.session (id) on delete cascade;
--;
alter table agent.part
    add constraint part_message_fkey foreign key (message_id) references agent.message (id) on delete cascade;
--;
comment on constraint message_session_fkey on agent.message is 'Messages go with their session.';
--;
comment on constraint part_message_fkey on agent.part is 'Parts go with their message.';
--;
alter table agent.hold
    add constraint hold_session_fkey foreign key (session_id) references agent.session (id) on delete cascade;
--;
comment on constraint hold_session_fkey on agent.hold is 'Holds go with their session.';
--;
alter table agent.session_message
    add constraint session_message_session_fkey foreign key (session_id) references agent.session (id)
        on delete cascade;
--;
alter table agent.session_input
    add constraint session_input_session_fkey foreign key (session_id) references agent.session (id)
        on delete cascade;
--;
comment on constraint session_message_session_fkey on agent.session_message is 'Messages go with their session.';
--;
comment on constraint session_input_session_fkey on agent.session_input is 'Prompts go with their session.';
--;
-- sql/agent_store/child_of.sql
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
--;
comment on function agent.child_of(agent.part) is
    'For a task in flight that carries no child session yet: {"sessionId": ...} of the child that session.parent_id '
    'shows, else null.';
--;
revoke all on function agent.child_of(agent.part) from public;
--;
-- sql/agent_store/held_until.sql
create or replace function agent.held_until(p_session text, p_part text)
returns timestamptz
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select to_timestamp(max(coalesce(h.time_ended, h.until)) / 1000.0)
    from agent.hold as h
    where h.session_id = p_session and (h.part_id is null or p_part is null or h.part_id = p_part)
$$;
--;
comment on function agent.held_until(text, text) is
    'When a part (null: anything in the session) last stopped waiting: its clock goes on from there.';
--;
revoke all on function agent.held_until(text, text) from public;
--;
-- sql/agent_store/interrupted.sql
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
--;
comment on function agent.interrupted(jsonb, text) is
    'Metadata of a tool that was interrupted: marked so, and the reason at the end of its output, if it has one.';
--;
revoke all on function agent.interrupted(jsonb, text) from public;
--;
-- sql/agent_store/interrupted_content.sql
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
--;
comment on function agent.interrupted_content(jsonb, bigint) is
    'Content of a message of opencode 2 with its open tools interrupted at a time in milliseconds.';
--;
revoke all on function agent.interrupted_content(jsonb, bigint) from public;
--;
-- sql/agent_store/is_held.sql
create or replace function agent.is_held(p_session text, p_part text)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from agent.hold as h
        where h.session_id = p_session and (h.part_id is null or p_part is null or h.part_id = p_part)
          and h.time_ended is null and (h.until is null or to_timestamp(h.until / 1000.0) > (select recovery._now())))
$$;
--;
comment on function agent.is_held(text, text) is
    'Whether a part (null: anything in the session) waits for a human or a provider.';
--;
revoke all on function agent.is_held(text, text) from public;
--;
-- sql/agent_store/metadata_of.sql
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
--;
comment on function agent.metadata_of(agent.part) is
    'Metadata of a task in flight, with what is known of its child: sessionId, and in output the child''s last text, '
    'if the child had finished.';
--;
revoke all on function agent.metadata_of(agent.part) from public;
--;
-- sql/agent_store/object_of.sql
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
--;
comment on function agent.object_of(jsonb) is
    'The value if it is an object, else an empty one: a malformed row must close too.';
--;
revoke all on function agent.object_of(jsonb) from public;
--;
-- sql/agent_store/told.sql
create or replace function agent.told(p_output pg_catalog.text, p_reason pg_catalog.text)
returns pg_catalog.text
language sql
stable
security invoker
as $$
    -- As opencode's bash ends its output when it is stopped. Without a SET clause, so that it is inlined. All names are
    -- qualified.
    select pg_catalog.concat_ws(E'\n\n', case when p_output operator(pg_catalog.<>) '' then p_output end,
        pg_catalog.concat(E'<shell_metadata>\n', p_reason, E'\n</shell_metadata>'))
$$;
--;
comment on function agent.told(text, text) is
    'What a tool had put out, and behind it why it ended: the model must not take it for a success.';
--;
revoke all on function agent.told(text, text) from public;
--;
-- sql/agent_store/tools_of.sql
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
--;
comment on function agent.tools_of(jsonb) is
    'Id and status of the tools among the first 100 entries of a message of opencode 2: what its events show.';
--;
revoke all on function agent.tools_of(jsonb) from public;
--;
-- sql/agent_store/runnable.sql
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
--;
comment on view agent.runnable is
    'Prompts, subtasks and compactions that nobody has begun to answer: what an agent server may run after a boot. An '
    'interrupted subtask or compaction is not among them.';
--;
comment on column agent.runnable.session_id is 'Session.';
--;
comment on column agent.runnable.message_id is 'User message that waits for its answer.';
--;
comment on column agent.runnable.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.runnable.kind is 'prompt, subtask or compaction.';
--;
-- sql/agent_store/watches.sql
-- All that makes the agent store recoverable: five watches. The core knows none of these names.
-- Tools first, then their message, then the session; a session closes in one transaction.
do $$
declare
    v_runner text;
begin
    perform recovery._make_runner(
        (select c.relowner from pg_catalog.pg_class as c where c.oid = 'agent.session'::regclass)::regrole);
    v_runner := (recovery._runner_of('agent.session')).role;
    -- The expressions of one table read the others.
    execute format('grant usage on schema agent to %I', v_runner);
    execute format('grant select on agent.session, agent.message, agent.part, agent.hold, agent.session_message to %I',
        v_runner);
    execute format('grant execute on all functions in schema agent to %I', v_runner);
end
$$;
--;
select recovery.attach(
    'agent.part',
    p_search_path => coalesce(nullif(current_setting('recovery.migrator_path', true), ''),
        current_setting('search_path')),
    p_family => 'agent', p_position => 10, p_group => 'session_id', p_order => 'time_created, id collate "C"',
    p_topic => 'message.part.updated',
    p_started => 'to_timestamp(time_created / 1000.0)',
    p_open => $$
        data ->> 'type' = 'tool' and data -> 'state' ->> 'status' in ('pending', 'running')
        or data ->> 'type' in ('text', 'reasoning')
           and data -> 'time' ->> 'start' is not null and data -> 'time' ->> 'end' is null
    $$,
    -- Open text under a message that ended by itself was left so by a provider's retry: it is no damage.
    p_only => $$
        r.data ->> 'type' = 'tool'
        or exists (
            select from agent.message as m
            where m.id = r.message_id and m.data ->> 'role' = 'assistant'
              and (m.data -> 'time' ->> 'completed' is null or m.data -> 'error' ->> 'name' = 'MessageAbortedError'))
    $$,
    p_close => jsonb_build_object(
        'time_updated', 'c.ms',
        'data', $$
            case when r.data ->> 'type' = 'tool' then
                r.data || jsonb_build_object('state', (r.data -> 'state') || jsonb_build_object(
                    'status', 'error',
                    'error', 'Tool execution was interrupted (' || c.message || ')',
                    'metadata', case when r.data ->> 'tool' = 'task'
                        then agent.interrupted(agent.metadata_of(r),
                            'Tool execution was interrupted (' || c.message || ')')
                        else agent.interrupted(r.data -> 'state' -> 'metadata',
                            'Tool execution was interrupted (' || c.message || ')') end,
                    'time', agent.object_of(r.data -> 'state' -> 'time') || jsonb_build_object(
                        'start', coalesce(nullif(r.data -> 'state' -> 'time' -> 'start', 'null'), to_jsonb(c.ms)),
                        'end', c.ms)))
            else
                r.data || jsonb_build_object('time', (r.data -> 'time') || jsonb_build_object('end', c.ms))
            end
        $$),
    p_image => $$
        jsonb_strip_nulls(jsonb_build_object(
            'time_updated', r.time_updated,
            'data', case when r.data ->> 'type' = 'tool' then
                jsonb_build_object('state', jsonb_build_object(
                    'status', r.data -> 'state' -> 'status',
                    'error', r.data -> 'state' -> 'error',
                    'time', r.data -> 'state' -> 'time',
                    'metadata', case when jsonb_typeof(r.data -> 'state' -> 'metadata') = 'object' then
                        jsonb_build_object('interrupted', r.data -> 'state' -> 'metadata' -> 'interrupted',
                                           'sessionId', r.data -> 'state' -> 'metadata' -> 'sessionId',
                                           -- Of the output only what a closing adds.
                                           'output', substring(right(r.data -> 'state' -> 'metadata' ->> 'output', 400)
                                               from '<shell_metadata>.*$')) end))
            else jsonb_build_object('time', r.data -> 'time') end))
    $$
);
--;
select recovery.attach(
    'agent.message',
    p_search_path => coalesce(nullif(current_setting('recovery.migrator_path', true), ''),
        current_setting('search_path')),
    p_family => 'agent', p_position => 20, p_group => 'session_id', p_order => 'time_created, id collate "C"',
    p_topic => 'message.updated',
    p_started => 'to_timestamp(time_created / 1000.0)',
    p_open => $$ data ->> 'role' = 'assistant' and data -> 'time' ->> 'completed' is null $$,
    -- An error that the message has already says more than ours.
    p_close => jsonb_build_object(
        'time_updated', 'c.ms',
        'data', $$
            r.data || jsonb_build_object(
                'time', agent.object_of(r.data -> 'time') || jsonb_build_object('completed', c.ms),
                'error', coalesce(nullif(r.data -> 'error', 'null'), jsonb_build_object(
                    'name', 'MessageAbortedError',
                    'data', jsonb_build_object('message', 'The turn was interrupted (' || c.message || ')'))))
        $$),
    p_image => $$
        jsonb_strip_nulls(jsonb_build_object(
            'time_updated', r.time_updated,
            'data', jsonb_build_object(
                'time', r.data -> 'time', 'error', r.data -> 'error', 'finish', r.data -> 'finish')))
    $$
);
--;
-- opencode 2: one row a turn, with its tools in it.
select recovery.attach(
    'agent.session_message',
    p_search_path => coalesce(nullif(current_setting('recovery.migrator_path', true), ''),
        current_setting('search_path')),
    p_family => 'agent', p_position => 20, p_group => 'session_id', p_order => 'seq, id collate "C"',
    p_topic => 'session.message.updated',
    p_started => 'to_timestamp(time_created / 1000.0)',
    p_open => $$
        type in ('assistant', 'shell') and data -> 'time' ->> 'completed' is null
        or type = 'assistant' and data @? 'strict $.content[*] ? (@.type == "tool" && (@.state.status == "pending"
            || @.state.status == "running" || @.state.status == "streaming"))'
    $$,
    -- No error of the message and no end of a text: opencode 2 writes none. What a shell had put out is shown to the
    -- model as its result.
    p_close => jsonb_build_object(
        'time_updated', 'c.ms',
        'data', $$
            agent.object_of(r.data)
                || jsonb_build_object('time', agent.object_of(r.data -> 'time') || jsonb_build_object(
                    'completed', coalesce(nullif(r.data -> 'time' -> 'completed', 'null'), to_jsonb(c.ms))))
                || case when r.type = 'shell' then jsonb_build_object('output',
                        agent.told(r.data ->> 'output', 'Tool execution was interrupted (' || c.message || ')'))
                    when r.data -> 'content' is not null then jsonb_build_object(
                        'content', agent.interrupted_content(r.data -> 'content', c.ms))
                    else '{}' end
        $$),
    p_image => $$
        jsonb_strip_nulls(jsonb_build_object(
            'time_updated', r.time_updated,
            'data', jsonb_build_object(
                'time', r.data -> 'time', 'finish', r.data -> 'finish',
                'tools', case when r.type = 'assistant' then agent.tools_of(r.data -> 'content') end)))
    $$
);
--;
select recovery.attach(
    'agent.session',
    p_search_path => coalesce(nullif(current_setting('recovery.migrator_path', true), ''),
        current_setting('search_path')),
    p_family => 'agent', p_position => 30, p_group => 'id', p_parent => 'parent_id',
    p_topic => 'session.updated',
    p_failed_topics => array['session.error'],
    p_idle_topics => array['session.status', 'session.idle'],
    p_started => 'to_timestamp(time_compacting / 1000.0)',
    p_open => 'time_compacting is not null',
    p_close => '{"time_compacting": "null"}'
);
--;
select recovery.attach(
    'agent.hold',
    p_search_path => coalesce(nullif(current_setting('recovery.migrator_path', true), ''),
        current_setting('search_path')),
    p_family => 'agent', p_position => 5, p_group => 'session_id',
    p_topic => 'hold.ended',
    p_started => 'to_timestamp(time_created / 1000.0)',
    p_open => 'time_ended is null',
    p_close => '{"time_ended": "c.ms"}'
);
--;
-- The watchdog. The timeouts themselves are settings; none is set.
select recovery.supervise(
    'agent.part',
    p_kind => $$ case when data ->> 'type' = 'tool' then coalesce(data ->> 'tool', '') end $$,
    p_activity => 'greatest(to_timestamp(time_updated / 1000.0), agent.held_until(session_id, id))',
    p_hold => 'agent.is_held(session_id, id)',
    p_child => $$ case when data ->> 'tool' = 'task'
        then coalesce(data -> 'state' -> 'metadata' ->> 'sessionId', agent.child_of(r) ->> 'sessionId') end $$,
    p_cancel => 'group'
);
--;
select recovery.supervise(
    'agent.message',
    p_kind => 'null',
    p_activity => $$ greatest(to_timestamp(time_updated / 1000.0),
        (select to_timestamp(max(p.time_updated) / 1000.0) from agent.part as p where p.message_id = r.id),
        agent.held_until(session_id, null)) $$,
    p_hold => 'agent.is_held(session_id, null)',
    p_cancel => 'group'
);
--;
-- The row of a turn tells when something in it last moved, and not which tool: no limit of a single tool.
select recovery.supervise(
    'agent.session_message',
    p_kind => 'null',
    p_activity => 'greatest(to_timestamp(time_updated / 1000.0), agent.held_until(session_id, null))',
    p_hold => 'agent.is_held(session_id, null)',
    p_cancel => 'group'
);
--;
select recovery.supervise(
    'agent.session',
    p_kind => 'null',
    p_activity => 'to_timestamp(time_updated / 1000.0)',
    p_hold => 'agent.is_held(id, null)',
    p_cancel => 'group'
);
--;
-- sql/agent_store/grants.sql
grant usage on schema agent to recovery_server, recovery_listener;
--;
grant select, insert, update, delete on agent.session, agent.message, agent.part, agent.hold, agent.session_message,
    agent.session_input to recovery_server;
--;
grant select on agent.session, agent.message, agent.part, agent.hold, agent.session_message, agent.session_input,
    agent.runnable to recovery_server, recovery_listener;
--;
-- What the statements above have changed is no reason to look at the watches anew.
select recovery._follow_watch(w.name) from recovery.watch as w where w.family = 'agent';
--;
reset check_function_bodies;
--;
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), true);
--;
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_quotes');
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), true);
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_path');
