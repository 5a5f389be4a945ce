create or replace function recovery.track_process(
    p_epoch         bigint,
    p_token         uuid,
    p_watch         text,
    p_key           text,
    p_scope         text,
    p_host          text,
    p_pid           integer,
    p_process_start timestamptz
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_family text;
    v_watch  text := case p_scope when 'row' then p_watch else '' end;
    v_id     bigint;
begin
    -- Holds the epoch's lock until the commit: what is registered here is visible to whoever ends it.
    perform recovery.assert_live(p_epoch);
    if not exists (select from recovery.server as s where s.epoch = p_epoch and s.token = p_token) then
        perform recovery._fail('RC003', format('epoch %s belongs to another boot: the token does not match', p_epoch),
            'Give the token that recovery.boot returned with the epoch.');
    end if;
    v_family := recovery._check_unit(p_watch, p_scope, p_key, 'process');
    perform recovery._check_process(p_host, p_pid, p_process_start, true);
    if p_pid = 1 then
        perform recovery._fail('RC010', 'pid 1 is not allowed', 'It is no process that a server has started.');
    end if;
    -- Repeating it, after an answer that was lost, finds the same entry.
    insert into recovery.process as p (server_epoch, family, scope, watch, key, host, pid, process_start)
    values (p_epoch, v_family, p_scope, v_watch, p_key, p_host, p_pid, p_process_start)
    on conflict (server_epoch, family, scope, watch, key, host, pid, process_start) do update
    set registered = clock_timestamp()
    returning p.id into v_id;
    return v_id;
end
$$;

comment on function recovery.track_process(bigint, uuid, text, text, text, text, integer, timestamptz) is
    'Registers a process that does a row or group of a watch for a live epoch, and returns its number. RC001, RC002, '
    'RC003 not that epoch''s; RC008 not watched, RC010 bad argument.';

revoke all on function recovery.track_process(bigint, uuid, text, text, text, text, integer, timestamptz) from public;
