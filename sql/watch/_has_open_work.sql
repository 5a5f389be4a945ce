create or replace function recovery._has_open_work(p_watch text, p_scope text, p_key text)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from recovery._unit_rows(p_watch, p_scope, p_key));
exception when others then
    perform recovery._note_broken_watch(p_watch, sqlstate, sqlerrm);
    return false;
end
$$;

comment on function recovery._has_open_work(text, text, text) is
    'Whether anything of a row or group is open, with what it waits for and all descendants; false if that cannot be '
    'told, and then the watch is noted as broken.';

revoke all on function recovery._has_open_work(text, text, text) from public;
