create or replace function recovery._announce_silent()
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rung bigint;
    v_last bigint;
begin
    select last_value into v_rung from recovery.bell_event;
    select max(id) + 99 into v_last from recovery.outbox;
    if v_last is null or v_last <= v_rung then
        return false;
    end if;
    perform recovery._announce_events(v_rung + 1, v_last);
    return true;
end
$$;

comment on function recovery._announce_silent() is
    'Announces events that were written within 50 ms of another NOTIFY and so stayed silent; called by heartbeat and '
    'sweep. True if it rang.';

revoke all on function recovery._announce_silent() from public;
