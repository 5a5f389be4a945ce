create or replace function recovery._settled()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Whoever took an event's id had its transaction id before. So: look up the last id, then take a transaction id, the
   mark; once every transaction below the mark has ended, what is not visible up to that id was rolled back. The
   snapshot's own xmax would not do as a mark: it ends at the newest transaction that has finished.

   Marks stay in a table, for beside others that write there is never a moment without an older transaction; and so
   that a standby, which can take none, knows them. Who reads by the answer must look at the events afterwards. */
declare
    v_xmin    xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_settled bigint;
    v_marked  bigint;
    v_at      timestamptz;
    v_last    bigint;
    v_xid     xid8;
begin
    select max(m.id) filter (where m.xid <= v_xmin), max(m.id), max(m.at) into v_settled, v_marked, v_at
    from recovery.event_mark as m;
    if pg_is_in_recovery() or current_setting('transaction_read_only') = 'on'
        or pg_current_xact_id_if_assigned() is not null
        or v_at between clock_timestamp() - interval '20 milliseconds' and clock_timestamp()
    then
        return coalesce(v_settled, 0);
    end if;
    v_last := coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0);
    if v_last <= coalesce(v_settled, 0) then
        return coalesce(v_settled, 0);
    end if;
    v_last := v_last + 99;  -- the last one in that record
    if v_last > coalesce(v_marked, 0) then
        v_xid := pg_current_xact_id();
        insert into recovery.event_mark (xid, id) values (v_xid, v_last);
        -- One that has served, and so many more that a long transaction does not outlast them all.
        delete from recovery.event_mark as m
        where m.ctid = any (array(
            select l.ctid from recovery.event_mark as l
            where l.xid in (
                select d.xid from (
                    select n.xid, n.id, row_number() over (order by n.id desc) as place
                    from recovery.event_mark as n) as d
                where d.id < v_settled or d.place > 64 and d.place % 2 = 0 and d.id > coalesce(v_settled, 0))
            for update of l skip locked));
        if pg_snapshot_xmin(pg_current_snapshot()) >= v_xid then
            v_settled := v_last;
        end if;
    end if;
    return coalesce(v_settled, 0);
end
$$;

comment on function recovery._settled() is
    'Up to which id no event can appear any more: what is not visible up to there was rolled back. Ask first, then '
    'look. Makes a mark where one is missing, in a transaction that may write and has not written yet.';

revoke all on function recovery._settled() from public;
