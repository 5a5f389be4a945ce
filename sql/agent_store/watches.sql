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

select recovery.supervise(
    'agent.message',
    p_kind => 'null',
    p_activity => $$ greatest(to_timestamp(time_updated / 1000.0),
        (select to_timestamp(max(p.time_updated) / 1000.0) from agent.part as p where p.message_id = r.id),
        agent.held_until(session_id, null)) $$,
    p_hold => 'agent.is_held(session_id, null)',
    p_cancel => 'group'
);

-- The row of a turn tells when something in it last moved, and not which tool: no limit of a single tool.
select recovery.supervise(
    'agent.session_message',
    p_kind => 'null',
    p_activity => 'greatest(to_timestamp(time_updated / 1000.0), agent.held_until(session_id, null))',
    p_hold => 'agent.is_held(session_id, null)',
    p_cancel => 'group'
);

select recovery.supervise(
    'agent.session',
    p_kind => 'null',
    p_activity => 'to_timestamp(time_updated / 1000.0)',
    p_hold => 'agent.is_held(id, null)',
    p_cancel => 'group'
);
