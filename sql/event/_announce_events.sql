create or replace function recovery._announce_events(p_from bigint, p_to bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count  bigint;
    v_events jsonb;
begin
    if p_from is null then
        return;
    end if;
    select count(*), jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind) order by e.id)
    into v_count, v_events
    from (select id, kind from recovery.event where id between p_from and p_to order by id limit 21) as e;
    if v_count > 20 then
        v_count := p_to - p_from + 1;
        v_events := null;
    end if;
    perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
    perform setval('recovery.bell_event', p_to);
    perform pg_notify('recovery', jsonb_strip_nulls(jsonb_build_object(
        'from', p_from, 'to', p_to, 'count', v_count, 'events', v_events))::text);
end
$$;

comment on function recovery._announce_events(bigint, bigint) is
    'NOTIFY for a range of events: ids and kinds of at most 20, else only the range. Never user data: every role of '
    'the database can LISTEN.';

revoke all on function recovery._announce_events(bigint, bigint) from public;
