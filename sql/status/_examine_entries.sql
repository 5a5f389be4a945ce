create or replace function recovery._examine_entries(p_patience interval)
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'entry-impossible', 'error', p.kind, p.name, p.problem, p.remedy,
        -- An impossible fuse guards nothing, and an impossible process is nobody's.
        case when p.kind in ('fuse', 'process') then array[p.remedy] end
    from recovery.problem as p where p.kind in ('fuse', 'process', 'server')
    union all
    select 'partition-left', 'warning', 'watch', p.name, p.problem, p.remedy, null
    from recovery.problem as p where p.kind = 'partition'
    union all
    select 'fuse-late', 'warning', 'fuse', f.id::text,
        format('on %s %s of %s: nobody has extended it since %s before it should have burnt out', f.scope, f.key,
            f.watch, date_trunc('second', recovery._now() - f.expires)),
        format('select recovery.cancel_fuse(%s);', f.id), null
    from recovery.fuse_state as f
    where f.burns and isfinite(f.expires) and f.expires < recovery._now() - p_patience
$$;

comment on function recovery._examine_entries(interval) is
    'Servers, fuses and processes that cannot be, and fuses that nobody extends. For recovery.examine().';

revoke all on function recovery._examine_entries(interval) from public;
