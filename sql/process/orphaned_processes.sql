create or replace function recovery.orphaned_processes(p_host text, p_epoch bigint default null)
returns setof recovery.process
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select p.* from recovery.process as p
    where p.host = p_host and recovery._problem_of(p.pid, p.process_start) is null
      and case when p_epoch is not null then p.server_epoch = p_epoch
               else not exists (select from recovery.server as s where s.epoch = p.server_epoch and s.ended is null) end
      and not recovery._is_process_in_use(p)
    order by p.id
$$;

comment on function recovery.orphaned_processes(text, bigint) is
    'The processes on a host whose server has ended (or those of one epoch, ended or not), and that nobody goes on '
    'with: no heir, no other server that took the row over, no active fuse on the process or its unit.';

revoke all on function recovery.orphaned_processes(text, bigint) from public;
