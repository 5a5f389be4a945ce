create or replace function recovery._note_blind_watches(p_watch text default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change record;
begin
    for v_change in
        with now as materialized (
            select w.name as watch, 'triggers_disabled' as why
            from recovery._attached_watches() as w
            where (p_watch is null or w.name = p_watch) and w.events <> 'closed' and (
                exists (
                    select from (
                        select w.relation::oid as oid
                        -- Without a lock, which pg_partition_tree takes.
                        union select p.relation from recovery._partitions_of(w.relation) as p) as l
                    join pg_trigger as t on t.tgrelid = l.oid
                    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgenabled in ('D', 'R'))
                or exists (
                    select from unnest(recovery._trigger_names(w)) as d (name)
                    where not exists (
                        select from pg_trigger as t where t.tgrelid = w.relation and t.tgname = d.name)))
            union all
            select w.name, 'replicated'
            from recovery._attached_watches() as w
            where (p_watch is null or w.name = p_watch) and w.events <> 'closed'
              and recovery._is_replicated(w.family)
        )
        select coalesce(n.watch, b.watch) as watch, coalesce(n.why, b.why) as why, b.since,
               n.watch is not null as begins
        from now as n
        full join (
            select b.* from recovery.blind_watch as b where p_watch is null or b.watch = p_watch
        ) as b on b.watch = n.watch and b.why = n.why
        where n.watch is null or b.watch is null
    loop
        if v_change.begins then
            insert into recovery.blind_watch (watch, why) values (v_change.watch, v_change.why)
            on conflict (watch, why) do nothing;
        else
            delete from recovery.blind_watch as b where (b.watch, b.why) = (v_change.watch, v_change.why);
        end if;
        -- Once, whoever sees it first.
        if found and exists (select from recovery._attached_watches() as w where w.name = v_change.watch) then
            insert into recovery.outbox (watch, kind, topic, key, reason, detector, new)
            select w.name, 'gap', w.topic, '', v_change.why, 'recovery', jsonb_strip_nulls(jsonb_build_object(
                'why', v_change.why, 'since', coalesce(v_change.since, clock_timestamp()),
                'until', case when not v_change.begins then clock_timestamp() end))
            from recovery.watch as w where w.name = v_change.watch;
        end if;
    end loop;
end
$$;

comment on function recovery._note_blind_watches(text) is
    'Notices tables of watches (or of one) that are written without events, and says so once, at its beginning and at '
    'its end: what was changed between the two, the table itself has to be asked.';

revoke all on function recovery._note_blind_watches(text) from public;
