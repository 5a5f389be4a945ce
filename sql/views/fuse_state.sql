create or replace view recovery.fuse_state as
select
    f.id, f.family, f.scope, f.watch, f.key, f.host, f.pid, f.process_dead, f.retry_at,
    f.expires >= (select recovery.now()) and f.pid is not null and f.process_dead is null
        and recovery.problem_of(f.pid, f.process_start, f.expires) is null as guards,
    f.expires < (select recovery.now()) or coalesce(f.process_dead < (select recovery.now()) - interval '5 seconds', false) as spent
from recovery.fuse as f;

comment on view recovery.fuse_state is 'What each fuse means at the moment.';
comment on column recovery.fuse_state.id is 'Number of the fuse.';
comment on column recovery.fuse_state.family is 'Family of the watch.';
comment on column recovery.fuse_state.scope is 'row or group.';
comment on column recovery.fuse_state.watch is 'Watch of the row; empty for a group.';
comment on column recovery.fuse_state.key is 'Key of the row, or of the group.';
comment on column recovery.fuse_state.host is 'Host of the process.';
comment on column recovery.fuse_state.pid is 'The process that does the work.';
comment on column recovery.fuse_state.retry_at is 'Not tried again before.';
comment on column recovery.fuse_state.process_dead is 'When a sweeper on its host found the process dead.';
comment on column recovery.fuse_state.guards is 'Active: not burnt out, with a process that is not known dead. Its unit is kept.';
comment on column recovery.fuse_state.spent is 'Burnt out, or its process died; a server that lives gets a moment to book how the process ended. Its unit is to be closed.';
