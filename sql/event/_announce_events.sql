create or replace function recovery._announce_events(p_from bigint, p_to bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first  bigint;
    v_last   bigint;
    v_count  bigint;
    v_events jsonb;
begin
    if p_from is null then
        return;
    end if;
    if p_to - p_from < 2100 then
        select o.id into v_first from recovery.outbox as o where o.id >= p_from order by o.id limit 1;
        select o.id + coalesce(cardinality(o.keys), 1) - 1 into v_last
        from recovery.outbox as o where o.id <= p_to order by o.id desc limit 1;
        select count(*), jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind) order by e.id)
        into v_count, v_events
        from (
            select o.id + n.n as id, o.kind
            from (select o.* from recovery.outbox as o where o.id between p_from and p_to order by o.id limit 21) as o
            cross join lateral generate_series(0, coalesce(cardinality(o.keys), 1) - 1) as n (n)
            limit 21
        ) as e;
        if v_count > 20 then
            v_count := null;
            v_events := null;
        end if;
    end if;
    perform setval('recovery.bell_time', (date_part('epoch', clock_timestamp()) * 1000)::bigint);
    perform setval('recovery.bell_event', p_to);
    perform pg_notify('recovery', jsonb_strip_nulls(jsonb_build_object(
        'from', coalesce(v_first, p_from), 'to', coalesce(v_last, p_to), 'count', v_count, 'events', v_events))::text);
end
$$;

comment on function recovery._announce_events(bigint, bigint) is
    'NOTIFY for a range of events: ids and kinds of at most 20, else only the range. Never user data: every role of '
    'the database can LISTEN.';

revoke all on function recovery._announce_events(bigint, bigint) from public;
