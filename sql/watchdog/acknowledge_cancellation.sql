create or replace function recovery.acknowledge_cancellation(p_id bigint, p_epoch bigint, p_token uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked   recovery.cancellation;
    v_session jsonb;
    v_closed  jsonb;
begin
    perform recovery._check_fresh();
    perform recovery.heartbeat(p_epoch, p_token);  -- proves who it is
    select c.* into v_asked from recovery.cancellation as c where c.id = p_id and c.server_epoch = p_epoch for update;
    if not found then
        return '{}';  -- acknowledged before, closed by its deadline, or no longer due
    end if;
    delete from recovery.cancellation as c where c.id = p_id;
    if v_asked.scope = 'group' and recovery._has_begun(v_asked.detail ->> 'watch', v_asked.key, v_asked.requested) then
        return '{}';  -- its group works on something new by now
    end if;
    v_session := recovery._session_settings();
    v_closed := recovery._close_unit_tree(v_asked.detail ->> 'watch', v_asked.scope, v_asked.key, v_asked.reason,
        'cancel:' || p_epoch);
    perform recovery._restore_settings(v_session);
    return v_closed;
end
$$;

comment on function recovery.acknowledge_cancellation(bigint, bigint, uuid) is
    'The owner says that it has stopped what recovery.cancellation asked for: what it left open closes now. Counts '
    'per watch; harmless when repeated. RC001, RC002, RC003 as the heartbeat.';

revoke all on function recovery.acknowledge_cancellation(bigint, bigint, uuid) from public;
