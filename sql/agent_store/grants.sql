grant usage on schema agent to recovery_server, recovery_listener;
grant select, insert, update, delete on agent.session, agent.message, agent.part, agent.hold, agent.session_message,
    agent.session_input to recovery_server;
grant select on agent.session, agent.message, agent.part, agent.hold, agent.session_message, agent.session_input,
    agent.runnable to recovery_server, recovery_listener;

-- What the statements above have changed is no reason to look at the watches anew.
select recovery._follow_watch(w.name) from recovery.watch as w where w.family = 'agent';
