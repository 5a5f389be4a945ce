create or replace function recovery.host_processes(p_host text)
returns table (pid integer, process_start timestamptz)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.pid, s.process_start from recovery.server as s
    where s.ended is null and s.host = p_host and s.pid is not null and s.process_dead is null
      and recovery._problem_of(s.pid, s.process_start) is null
    union
    select f.pid, f.process_start from recovery.fuse as f
    where f.host = p_host and f.pid is not null and f.process_dead is null
      and recovery._problem_of(f.pid, f.process_start) is null
$$;

comment on function recovery.host_processes(text) is
    'Processes on a host that guard or own something: a sweeper there looks whether they live. None that '
    'recovery.problem lists: no client could read them.';

revoke all on function recovery.host_processes(text) from public;
