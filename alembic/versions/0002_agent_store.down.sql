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
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), true);
--;
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_path');
