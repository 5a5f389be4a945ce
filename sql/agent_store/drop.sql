select recovery.detach('agent.part');
select recovery.detach('agent.message');
select recovery.detach('agent.session');
select recovery.detach('agent.hold');
select recovery.detach('agent.session_message');

drop schema agent cascade;
