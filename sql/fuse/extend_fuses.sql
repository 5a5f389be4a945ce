create or replace function recovery.extend_fuses(p_fuses bigint[])
returns table (fuse bigint, until timestamptz)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with active as (
        select f.id, f.expires from recovery.fuse as f
        where f.id = any(p_fuses) and f.process_dead is null
          and not exists (select from recovery.fuse_state as s where s.id = f.id and s.burnt)
    ), free as (
        -- One that a sweep holds at this moment is left as it is: nobody waits, and the next call will tell.
        select f.id from recovery.fuse as f join active as a on a.id = f.id
        where f.process_dead is null order by f.id for no key update of f skip locked
    ), extended as (
        update recovery.fuse as f set expires = recovery._now() + f.ttl, looked_at = null
        from free as e where f.id = e.id
        returning f.id, f.expires
    )
    select p.id, coalesce(e.expires, a.expires)
    from (select distinct u.id from unnest(p_fuses) as u (id) where u.id is not null) as p
    left join active as a on a.id = p.id
    left join extended as e on e.id = p.id
$$;

comment on function recovery.extend_fuses(bigint[]) is
    'recovery.extend_fuse for many fuses: until when each burns now, null if it is out (burnt out, cancelled, or its '
    'process died).';

revoke all on function recovery.extend_fuses(bigint[]) from public;
