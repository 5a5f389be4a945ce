create or replace function recovery._has_open_work(p_unit recovery.unit)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from recovery._unit_rows(p_unit));
exception when others then
    perform recovery._note_broken_watch(p_unit.watch, sqlstate, sqlerrm);
    return false;
end
$$;

comment on function recovery._has_open_work(recovery.unit) is
    'Whether anything of a unit is open, with what it waits for and all descendants; false if that cannot be told, '
    'and then the watch is noted as broken.';

revoke all on function recovery._has_open_work(recovery.unit) from public;
