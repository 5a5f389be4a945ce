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
grant usage on schema agent to recovery_owner;
--;
-- sql/agent_store/tables/message.sql
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
comment on column agent.message.id is 'Id of the message (msg_…).';
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
grant select, update on agent.message to recovery_owner;
--;
-- sql/agent_store/tables/part.sql
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
comment on column agent.part.id is 'Id of the part (prt_…).';
--;
comment on column agent.part.message_id is 'Its message.';
--;
comment on column agent.part.session_id is 'Its session.';
--;
comment on column agent.part.time_created is 'Milliseconds since 1970.';
--;
comment on column agent.part.time_updated is 'Milliseconds since 1970.';
--;
comment on column agent.part.data is 'The part; a tool that is pending or running, or text and reasoning with a start and no end, is in flight.';
--;
comment on index agent.part_message_idx is 'Parts of a message in order.';
--;
comment on index agent.part_session_idx is 'Parts of a session.';
--;
grant select, update on agent.part to recovery_owner;
--;
-- sql/agent_store/tables/session.sql
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
comment on table agent.session is 'A conversation; a subagent has its own, whose parent_id is the session that started it.';
--;
comment on column agent.session.id is 'Id of the session (ses_…).';
--;
comment on column agent.session.project_id is 'Project.';
--;
comment on column agent.session.workspace_id is 'Workspace.';
--;
comment on column agent.session.parent_id is 'Session of the parent agent. No foreign key: a store may be loaded in any order.';
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
grant select, update on agent.session to recovery_owner;
--;
-- sql/agent_store/tables/store_links.sql
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
-- sql/agent_store/functions/child_of.sql
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
               row_number() over (partition by t.data -> 'state' -> 'input' ->> 'description' order by t.time_created, t.id collate "C") as n
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
    'For a task in flight that carries no child session yet: {"sessionId": …} of the child that session.parent_id shows, else null.';
--;
revoke all on function agent.child_of(agent.part) from public;
--;
grant execute on function agent.child_of(agent.part) to recovery_owner;
--;
-- sql/agent_store/functions/object_of.sql
create or replace function agent.object_of(p_value jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(p_value) = 'object' then p_value else '{}'::jsonb end
$$;
--;
comment on function agent.object_of(jsonb) is 'The value if it is an object, else an empty one: a malformed row must close too.';
--;
revoke all on function agent.object_of(jsonb) from public;
--;
grant execute on function agent.object_of(jsonb) to recovery_owner;
--;
-- sql/agent_store/watches.sql
-- All that makes the agent store recoverable: three watches. The core knows none of these names.
-- Tools first, then their message, then the session; a session closes in one transaction.
select recovery.attach(
    'agent.part',
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
                    'metadata', agent.object_of(r.data -> 'state' -> 'metadata')
                        || case when r.data ->> 'tool' = 'task' and r.data -> 'state' -> 'metadata' ->> 'sessionId' is null
                           then coalesce(agent.child_of(r), '{}') else '{}' end
                        || '{"interrupted": true}',
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
                                           'sessionId', r.data -> 'state' -> 'metadata' -> 'sessionId') end))
            else jsonb_build_object('time', r.data -> 'time') end))
    $$
);
--;
select recovery.attach(
    'agent.message',
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
            'data', jsonb_build_object('time', r.data -> 'time', 'error', r.data -> 'error', 'finish', r.data -> 'finish')))
    $$
);
--;
select recovery.attach(
    'agent.session',
    p_family => 'agent', p_position => 30, p_group => 'id', p_parent => 'parent_id',
    p_topic => 'session.updated',
    p_failed_topics => array['session.error'],
    p_idle_topics => array['session.status', 'session.idle'],
    p_started => 'to_timestamp(time_compacting / 1000.0)',
    p_open => 'time_compacting is not null',
    p_close => '{"time_compacting": "null"}'
);
--;
-- sql/agent_store/grants.sql
grant usage on schema agent to recovery_server, recovery_listener;
--;
grant select, insert, update, delete on agent.session, agent.message, agent.part to recovery_server;
--;
grant select on agent.session, agent.message, agent.part to recovery_listener;
--;
reset check_function_bodies;
