create schema if not exists recovery;

comment on schema recovery is
    'Crash recovery of in-flight work: servers, watches, durable events, and the routines that close orphans.';

revoke all on schema recovery from public;
