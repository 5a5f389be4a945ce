create or replace function recovery._retain_events()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* A partition of the ring takes two billion ids, or half the time that events are kept. When its turn comes again, or
   the newest event in it is old enough, it is emptied, if nobody holds it for long: whoever writes is in another
   partition. What an active consumer has not had stays, unless drop_unread is set. */
declare
    c_block  constant bigint := 2000000000;
    v_keep   constant interval := recovery.get_setting('event_retention')::interval;
    v_last   bigint := pg_sequence_last_value('recovery.outbox_id_seq');
    v_begun  timestamptz;
    v_unread bigint;
    v_slots  integer[];
    v_newest bigint[];
    v_at     timestamptz[];
begin
    if v_last is null then
        return;
    end if;
    select o.at into v_begun from recovery.outbox as o
    where o.id >= v_last / c_block * c_block order by o.id limit 1;
    -- Whoever takes an id meanwhile takes it below: so many more could not be taken in the moment between.
    if v_begun < clock_timestamp() - v_keep / 2 and v_last % c_block < c_block / 10 * 9 then
        v_last := (v_last / c_block + 1) * c_block;
        perform setval('recovery.outbox_id_seq', v_last);
    end if;
    if recovery.get_setting('drop_unread') is distinct from 'true' then
        select min(coalesce(lower(c.gaps) - 1, c.newest)) into v_unread
        from recovery.consumer as c where c.seen > clock_timestamp() - c.expires;
    end if;
    -- Looked up at once: a query that goes on would be a reader in the way.
    select array_agg(n.slot order by n.id), array_agg(n.id order by n.id), array_agg(n.at order by n.id)
    into v_slots, v_newest, v_at
    from (
        (select 0 as slot, o.id, o.at from recovery.outbox_slot_0 as o order by o.id desc limit 1)
        union all
        (select 1, o.id, o.at from recovery.outbox_slot_1 as o order by o.id desc limit 1)
        union all
        (select 2, o.id, o.at from recovery.outbox_slot_2 as o order by o.id desc limit 1)
        union all
        (select 3, o.id, o.at from recovery.outbox_slot_3 as o order by o.id desc limit 1)
    ) as n;
    for v_n in 1 .. coalesce(cardinality(v_slots), 0) loop
        exit when v_newest[v_n] / c_block = v_last / c_block
            or v_newest[v_n] + 99 > v_unread
            or (v_at[v_n] < clock_timestamp() - v_keep
                or v_slots[v_n] = (v_last / c_block + 1) % 4 and v_last % c_block > c_block / 2) is not true;
        -- If not: somebody reads for long, or a transaction of long ago has yet to end.
        exit when not recovery._empty_slot(v_slots[v_n]);
        update recovery.event_floor as f set id = greatest(f.id, v_newest[v_n] + 99), at = clock_timestamp();
    end loop;
end
$$;

comment on function recovery._retain_events() is
    'Part of a sweep: begins the next partition of the events in good time, and empties those that are older than '
    'event_retention or whose turn comes again.';

revoke all on function recovery._retain_events() from public;
