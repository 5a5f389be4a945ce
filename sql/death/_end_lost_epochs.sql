create or replace function recovery._end_lost_epochs()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  record;
    v_epochs bigint[];
begin
    for v_watch in select w.name from recovery._attached_watches() as w where not recovery._is_replicated(w.family) loop
        begin
            v_epochs := recovery._open_epochs(v_watch.name);
        exception when others then
            continue;  -- recovery._orphaned_epochs notes it
        end;
        -- A second statement: a server that booted after we looked at its rows is there by now. An epoch
        -- that is not was lost (a failover, a restored backup): its server cannot beat, so it is not alive.
        insert into recovery.server (epoch, name, lease, grace, ended, reason)
        select e.epoch, 'lost epoch', interval '1 second', interval '1 second', clock_timestamp(), 'epoch_lost'
        from unnest(v_epochs) as e (epoch)
        where e.epoch > 0 and not exists (select from recovery.server as s where s.epoch = e.epoch)
        on conflict (epoch) do nothing;
    end loop;
end
$$;

comment on function recovery._end_lost_epochs() is
    'Books epochs that own open rows but are not in recovery.server (lost in a failover or restore) as ended, so that '
    'their rows close. Not those in tables that a subscription writes: they are the publisher''s.';

revoke all on function recovery._end_lost_epochs() from public;
