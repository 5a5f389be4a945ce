grant usage on schema agent to recovery_server, recovery_listener;
grant select, insert, update, delete on agent.session, agent.message, agent.part, agent.hold to recovery_server;
grant select on agent.session, agent.message, agent.part, agent.hold, agent.runnable
    to recovery_server, recovery_listener;
