create or replace function recovery._prune_old(p_anyway boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from recovery.event_floor as f
    where p_anyway or f.looked not between clock_timestamp() - interval '1 minute' and clock_timestamp()
    for update skip locked;
    if not found then
        return;  -- not yet, or another sweep is at it
    end if;
    update recovery.event_floor as f set looked = clock_timestamp();
    perform recovery._prune_history();
    perform recovery._retain_events();
end
$$;

comment on function recovery._prune_old(boolean) is
    'Part of a sweep, once a minute: what is kept only for a time goes when it is over.';

revoke all on function recovery._prune_old(boolean) from public;
