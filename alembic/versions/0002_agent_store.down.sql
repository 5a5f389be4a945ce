-- sql/agent_store/drop.sql
select recovery.detach('agent.part');
--;
select recovery.detach('agent.message');
--;
select recovery.detach('agent.session');
--;
select recovery.detach('agent.hold');
--;
drop schema agent cascade;
