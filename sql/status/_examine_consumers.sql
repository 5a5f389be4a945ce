-- With the rights of the caller: what is seen of other sessions depends on them.
create or replace function recovery._examine_consumers(p_patience interval)
returns setof recovery.finding
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with c as (
        select s.*, date_trunc('second', s.lag) as late, date_trunc('second', clock_timestamp() - s.seen) as away
        from recovery.consumer_status as s
    )
    select 'consumer-missed', 'warning', 'consumer', c.name,
        format('has had the events up to %s only; later ones were dropped before it read them', c.newest),
        format('its next fetch gives an event of kind gap: look at the tables then; or go on with what comes now: '
            'select recovery.move_consumer(%L);', c.name), null::text[]
    from c where c.newest < recovery.event_since('-infinity')
    union all
    select 'consumer-expired', 'warning', 'consumer', c.name,
        format('abandoned: seen %s ago, expires after %s; events are no longer kept for it', c.away, c.expires),
        format('start it again; if nobody will: select recovery.drop_consumer(%L);', c.name), null
    from c where c.state = 'expired'
    union all
    select 'consumer-behind', 'warning', 'consumer', c.name,
        format('about %s behind, the oldest of %s ago; it was seen %s ago. They are kept for it until it has them%s',
            case c.behind when 1 then '1 event' else c.behind || ' events' end, c.late, c.away,
            case when c.state = 'reading' then ', and what it fetched last is not acknowledged' end),
        format('look whether its process lives and keeps up; if nobody needs it: select recovery.drop_consumer(%L);',
            c.name), null
    from c where c.state in ('active', 'reading') and c.lag > p_patience * 60
    union all
    select 'consumer-held', 'warning', 'consumer', c.name,
        format('its position stays at %s: above it may still appear what was written by %s, in database %s, begun %s '
            'ago%s; it gets events as ever', c.position, t.who, t.database,
            date_trunc('second', clock_timestamp() - t.begun), ': ' || t.query),
        t.remedy, null
    from c cross join lateral (
        select o.* from recovery.open_transaction as o where o.begun < clock_timestamp() - p_patience
        order by o.older desc limit 1) as t
    where c.position < c.newest and c.state in ('active', 'reading')
$$;

comment on function recovery._examine_consumers(interval) is
    'Consumers that are far behind, abandoned, or held up, and by whom. For recovery.examine().';

revoke all on function recovery._examine_consumers(interval) from public;
