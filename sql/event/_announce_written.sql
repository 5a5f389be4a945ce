create or replace function recovery._announce_written(p_kind text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- It reads no event: a transaction that goes on for long would hold the partitions that are to be emptied.
    if current_setting('recovery.notify', true) is distinct from 'off' then
        perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
        perform pg_notify('recovery', jsonb_build_object('from', v.id, 'to', v.id, 'count', 1, 'events',
            jsonb_build_array(jsonb_build_object('id', v.id, 'kind', p_kind)))::text)
        from (select currval('recovery.outbox_id_seq') as id) as v
        where p_kind in ('opened', 'reopened', 'adopted', 'closed', 'deleted');
    end if;
end
$$;

comment on function recovery._announce_written(text) is
    'NOTIFY for the event of that kind that this transaction has just written; called by a trigger whose last ring is '
    '50 ms old.';

revoke all on function recovery._announce_written(text) from public;
