create or replace function recovery.fetch(p_consumer text, p_limit integer default 1000)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, settled boolean, receipt text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settled  bigint;
    v_floor    bigint;
    v_dropped  boolean;
    v_consumer recovery.consumer;
    v_from     bigint;
    v_gaps     int8multirange;
    v_page     record;
    v_number   bigint;
begin
    perform recovery._check_limit(p_limit);
    if exists (select from recovery.consumer as c where c.name = p_consumer and c.gaps <> '{}') then
        v_settled := recovery._settled();  -- before the lock, which takes a transaction id
    end if;
    v_consumer := recovery._find_consumer(p_consumer);
    v_number := recovery._next_page(v_consumer.page);
    select f.id into v_floor from recovery.event_floor as f;
    v_dropped := v_consumer.newest < v_floor;
    v_from := greatest(v_consumer.newest, v_floor);
    v_gaps := v_consumer.gaps - int8multirange(int8range(null, v_floor, '[]'));
    loop
        select s.* into v_page from recovery._scan(v_from, v_gaps, p_limit, v_consumer.wanted, v_settled) as s;
        v_gaps := v_page.o_gaps;
        exit when v_page.o_events is not null or not v_page.o_full or v_dropped;
        v_from := v_page.o_newest;
    end loop;
    if v_page.o_events is null and not v_dropped then
        -- Nothing to acknowledge. Who polls writes only if something has changed, or once a minute.
        if (v_page.o_newest, v_gaps) is distinct from (v_consumer.newest, v_consumer.gaps)
            or v_consumer.page_last is not null
            or v_consumer.seen < clock_timestamp() - interval '1 minute'
        then
            update recovery.consumer as c
            set newest = v_page.o_newest, gaps = v_gaps, page = v_number, page_last = null,
                page_newest = null, page_gaps = null,
                seen = clock_timestamp()
            where c.name = p_consumer;
        end if;
        return;
    end if;
    update recovery.consumer as c
    set page = v_number, page_last = coalesce((v_page.o_events[cardinality(v_page.o_events)]).id, v_floor),
        page_newest = v_page.o_newest, page_gaps = v_gaps, seen = clock_timestamp()
    where c.name = p_consumer;
    if v_dropped then
        return query
            select v_floor, (select f.at from recovery.event_floor as f), null::bigint, ''::text, 'gap'::text,
                   null::text, ''::text, null::text, 'dropped'::text, 'recovery'::text, null::jsonb,
                   jsonb_build_object('after', v_consumer.newest, 'to', v_floor), true,
                   concat_ws('.', p_consumer, v_number, v_floor);
    end if;
    return query
        select e.*, e.id < coalesce(lower(v_gaps), 9223372036854775807),
               concat_ws('.', p_consumer, v_number, e.id)
        from unnest(v_page.o_events) as e;
end
$$;

comment on function recovery.fetch(text, integer) is
    'Events for a named consumer, about p_limit of them, in order: all that have become visible and that it has not '
    'acknowledged, at once, also those below which others may still appear (settled false). Each has a receipt for '
    'recovery.acknowledge(). Without that they come again. RC014 no such consumer, RC010 bad limit.';

revoke all on function recovery.fetch(text, integer) from public;
