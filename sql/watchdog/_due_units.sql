create or replace function recovery._due_units()
returns table (watch text, scope text, key text, owner bigint, reason text, detail jsonb)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now    timestamptz := recovery._now();
    v_since  timestamptz;
    v_watch  recovery.watch;
    v_family text;
begin
    if not exists (select from recovery.setting as s where s.name like '%\_timeout')
        and not exists (select from recovery.watch as w where w.timeout is not null)
    then
        return;
    end if;
    -- After a break in watching (sleep, restart, failover) every clock begins anew: waking up times out nothing at
    -- once.
    select case when o.since is null or o.because = 'first sweep' then '-infinity' else o.since end into v_since
        from recovery.observation as o;
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position loop
        begin
            return query select d.* from recovery._due_rows(v_watch, v_now, v_since) as d;
        exception when others then
            -- One watch whose expressions fail for some row stops no other.
            perform recovery._note_broken_watch(v_watch.name, sqlstate, sqlerrm);
        end;
    end loop;
    for v_family in
        select distinct w.family from recovery._attached_watches() as w where w.group_by is not null order by 1
    loop
        begin
            return query select d.* from recovery._idle_groups(v_family, v_now, v_since) as d;
        exception when others then
            perform recovery._note_broken_watch(
                (select min(w.name) from recovery._attached_watches() as w where w.family = v_family), sqlstate,
                sqlerrm);
        end;
    end loop;
end
$$;

comment on function recovery._due_units() is
    'Units of work whose timeout has run out, with the reason; nothing is done to them.';

revoke all on function recovery._due_units() from public;
