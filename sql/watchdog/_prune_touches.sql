create or replace function recovery._prune_touches()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Older than any timeout, a touch says nothing.
    delete from recovery.touch as t
    where greatest(t.at, t.child_at) < recovery._now() - greatest(interval '1 day', (
        select max(nullif(s.value, 'off')::interval) from recovery.setting as s where s.name like '%\_timeout'));
end
$$;

comment on function recovery._prune_touches() is 'Part of a sweep: forgets touches that say nothing any more.';

revoke all on function recovery._prune_touches() from public;
