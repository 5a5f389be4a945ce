create or replace function recovery._announce_written()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id   bigint := currval('recovery.outbox_id_seq');
    v_kind text;
begin
    if current_setting('recovery.notify', true) is distinct from 'off' then
        select e.kind into v_kind from recovery.outbox as e where e.id = v_id;
        perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
        perform pg_notify('recovery',
            format('{"from": %1$s, "to": %1$s, "count": 1, "events": [{"id": %1$s, "kind": "%2$s"}]}', v_id, v_kind));
    end if;
end
$$;

comment on function recovery._announce_written() is
    'NOTIFY for the event that this transaction has just written; called by a trigger whose last ring is 20 ms old.';

revoke all on function recovery._announce_written() from public;
