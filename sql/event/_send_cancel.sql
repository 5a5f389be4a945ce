create or replace function recovery._send_cancel(
    p_epoch bigint, p_unit recovery.unit, p_reason text, p_detector text, p_detail jsonb
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_event bigint;
begin
    perform pg_current_xact_id();  -- before the event's id: see recovery._settled
    insert into recovery.outbox (server_epoch, watch, kind, key, group_key, reason, detector, new)
    values (p_epoch, p_unit.watch, 'cancel', p_unit.key, case p_unit.scope when 'group' then p_unit.key end,
            p_reason, p_detector, p_detail || jsonb_build_object('scope', p_unit.scope, 'watch', p_unit.watch))
    returning id into v_event;
    perform recovery._announce_events(v_event, v_event);
end
$$;

comment on function recovery._send_cancel(bigint, recovery.unit, text, text, jsonb) is
    'Tells the owner of a unit to stop it: an event of kind cancel, announced.';

revoke all on function recovery._send_cancel(bigint, recovery.unit, text, text, jsonb) from public;
