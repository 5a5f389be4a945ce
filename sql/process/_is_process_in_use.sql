create or replace function recovery._is_process_in_use(p_process recovery.process)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row record;
begin
    if exists (
        with recursive heirs (epoch) as (
            select p_process.server_epoch
            union
            select s.heir from heirs as h join recovery.server as s on s.epoch = h.epoch where s.heir is not null
        )
        select from heirs as h join recovery.server as s on s.epoch = h.epoch
        where s.ended is null and s.epoch <> p_process.server_epoch
    ) then
        return true;
    end if;
    -- The start time is not compared: the same process may have been read twice, a little apart.
    if exists (
        select from recovery.fuse_state as f
        where f.guards
          and (f.host = p_process.host and f.pid = p_process.pid
               or f.family = p_process.family and f.scope = p_process.scope and f.watch = p_process.watch
                   and f.key = p_process.key)
    ) then
        return true;
    end if;
    select r.o_owner, r.o_open, r.o_guarded into v_row from recovery._row_of_process(p_process) as r;
    return coalesce(v_row.o_open, false) and (v_row.o_guarded or exists (
        select from recovery.server as s
        where s.epoch = v_row.o_owner and s.epoch <> p_process.server_epoch and s.ended is null));
end
$$;

comment on function recovery._is_process_in_use(recovery.process) is
    'Whether the work of a process goes on without the epoch that started it: an heir or another live server has it, '
    'or an active fuse guards the process or its unit.';

revoke all on function recovery._is_process_in_use(recovery.process) from public;
