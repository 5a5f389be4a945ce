create or replace function recovery._note_partitions(p_detector text, p_watch integer default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch   recovery.watch;
    v_there   regclass[];
    v_files   oid[];
    v_since   bigint;
    v_seen    bigint;
    v_settled boolean;
    v_last    bigint;
    v_gone    record;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w join pg_class as c on c.oid = w.relation and c.relkind = 'p'
        where w.id = p_watch or p_watch is null order by w.id
    loop
        begin
            insert into recovery.partition as p (watch, relation, filenode, since, seen, mark)
            select v_watch.id, t.relation, t.filenode,
                   coalesce(s.since, pg_sequence_last_value('recovery.outbox_id_seq'), 0), s.seen, s.mark
            from recovery._partitions_of(v_watch.relation) as t cross join (
                select min(o.since) as since, max(o.seen) as seen, max(o.mark) as mark
                from recovery.partition as o where o.watch = v_watch.id) as s
            where not exists (
                select from recovery.partition as o where o.watch = v_watch.id and o.relation = t.relation)
            on conflict (watch, relation) do nothing;
            continue when p_detector is null;
            -- As it was before the search: what happens during it is the next sweep's.
            select coalesce(array_agg(t.relation), '{}'), coalesce(array_agg(t.filenode), '{}') into v_there, v_files
            from recovery._partitions_of(v_watch.relation) as t;
            -- Another sweep that has found it first tells it.
            perform from recovery.partition as p
            left join unnest(v_there, v_files) as t (relation, filenode) on t.relation = p.relation
            where p.watch = v_watch.id and (
                case when p.detached is null then t.relation is null or t.filenode <> p.filenode
                     else t.relation is not null end)
            for update of p skip locked;
            if found then
                -- One after the other: what is settled was there before the search, what it saw is older than the mark.
                select min(p.since), max(p.seen), pg_snapshot_xmin(pg_current_snapshot()) >= max(p.mark)
                into v_since, v_seen, v_settled from recovery.partition as p where p.watch = v_watch.id;
                select max(o.id) + 99 into v_last from recovery.outbox as o;
                select g.* into v_gone from recovery._tell_gone_rows(v_watch, p_detector, v_since) as g;
                if v_gone.o_done then
                    update recovery.partition as p
                    set filenode = coalesce(t.filenode, p.filenode),
                        detached = case when t.relation is null then coalesce(p.detached, clock_timestamp()) end,
                        since = case when v_settled then greatest(v_since, least(v_gone.o_first, v_seen + 1))
                            else v_since end,
                        seen = case when v_settled is not false then v_last else p.seen end,
                        mark = case when v_settled is not false then pg_current_xact_id() else p.mark end
                    from recovery.partition as o
                    left join unnest(v_there, v_files) as t (relation, filenode) on t.relation = o.relation
                    where o.watch = v_watch.id and p.watch = o.watch and p.relation = o.relation;
                end if;
            end if;
            delete from recovery.partition as p
            where p.watch = v_watch.id and p.detached is not null
              and coalesce(pg_partition_root(p.relation), p.relation) not in (
                  select l.relation from recovery._left_partitions(v_watch.relation) as l (relation));
        exception
            when lock_not_available or deadlock_detected then
                null;  -- the host is at it: the next sweep looks again
            when others then
                perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
end
$$;

comment on function recovery._note_partitions(text, integer) is
    'Compares the partitions of watched tables with those that were there before, and tells what is gone with the '
    'others. Detector null: for one watch, only what is new.';

revoke all on function recovery._note_partitions(text, integer) from public;
