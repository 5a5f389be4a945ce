create schema agent;

comment on schema agent is
    'A store for agent servers after opencode''s data model: sessions, messages, parts. Watched by pg-recovery.';

revoke all on schema agent from public;
