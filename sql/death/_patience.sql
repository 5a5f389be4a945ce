create or replace function recovery._patience(p_gap interval)
returns interval
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Half a lease is enough for servers to look dead that only slept as we did; but who sweeps seldom and regularly is
    -- not asleep, hence twice the usual gap.
    select greatest(min(s.lease) / 2, least(p_gap, interval '10 minutes') * 2 + interval '1 second')
    from recovery.server as s where s.ended is null
$$;

comment on function recovery._patience(interval) is
    'How long nobody may look, where p_gap is usual, until that counts as a break in watching; null: no server lives.';

revoke all on function recovery._patience(interval) from public;
