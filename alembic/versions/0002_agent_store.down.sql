-- sql/agent_store/drop.sql
select recovery.detach('agent.part');
--;
select recovery.detach('agent.message');
--;
select recovery.detach('agent.session');
--;
drop schema agent cascade;
