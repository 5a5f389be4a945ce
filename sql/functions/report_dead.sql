create or replace function recovery.report_dead(p_host text, p_pid integer, p_process_start timestamptz)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_servers bigint;
    v_fuses   bigint;
begin
    perform recovery.check_process(p_host, p_pid, p_process_start, false);
    update recovery.server as s set process_dead = recovery.now()
    where s.ended is null and s.host = p_host and s.pid = p_pid
      and s.process_start is not distinct from p_process_start and s.process_dead is null;
    get diagnostics v_servers = row_count;
    update recovery.fuse as f set process_dead = recovery.now()
    where f.host = p_host and f.pid = p_pid
      and f.process_start is not distinct from p_process_start and f.process_dead is null;
    get diagnostics v_fuses = row_count;
    return v_servers + v_fuses;
end
$$;

comment on function recovery.report_dead(text, integer, timestamptz) is
    'Evidence from the process''s own host: it is dead (gone, or its pid belongs to a process that started at another time). Returns how many servers and fuses that concerns.';

revoke all on function recovery.report_dead(text, integer, timestamptz) from public;
