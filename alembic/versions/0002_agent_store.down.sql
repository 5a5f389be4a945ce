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
-- sql/agent_store/drop.sql
select recovery.detach('agent.part');
--;
select recovery.detach('agent.message');
--;
select recovery.detach('agent.session');
--;
select recovery.detach('agent.hold');
--;
select recovery.detach('agent.session_message');
--;
drop schema agent cascade;
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
