create or replace function recovery._examine_work()
returns setof recovery.finding
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    with w as materialized (
        select s.*, a.unowned is not null
            or recovery.get_setting('unowned_expected', s.watch) = 'true' as expected
        from recovery.watch_status as s join recovery._attached_watches() as a on a.name = s.watch
    ), opened as (
        -- The newest events only: cheap, and an old one would say nothing of today's writers.
        select e.watch, count(*) as all, count(*) filter (where e.server_epoch is null) as unowned
        from (select o.* from recovery.outbox as o order by o.id desc limit 1000) as e
        where e.kind in ('opened', 'reopened') and e.at > clock_timestamp() - interval '1 hour'
        group by e.watch
    )
    select case when o.unowned > 0 then 'writer-unbound' else 'rows-unowned' end,
        case when o.unowned > 0 then 'error' else 'warning' end, 'watch', w.watch,
        format('%s of %s open rows (%s %%) belong to nobody: no one notices when their process dies', w.unowned,
            w.open_rows, round(100.0 * w.unowned / w.open_rows))
            || case when o.unowned > 0 then format('; so did %s of the last %s that were opened', o.unowned, o.all)
                    else '; none was opened lately' end,
        case when o.unowned > 0 then format('bind what writes them (recovery.serve), or, if that is meant: '
                 'recovery config set unowned_expected true --watch %s', w.watch)
             else format('close them (recovery close), or, if that is meant: '
                 'recovery config set unowned_expected true --watch %s', w.watch) end,
        null::text[]
    from w left join opened as o on o.watch = w.watch
    where w.unowned > 0 and w.expected is not true
    union all
    select 'rows-orphaned', 'warning', 'watch', w.watch,
        format('%s open rows of servers that have ended', w.orphans), 'recovery sweep', null
    from w where w.orphans > 0
    union all
    select 'rows-failing', 'error', 'watch', f.watch,
        format('%s rows cannot be closed, the last one (%s, tried %s times): %s', count(*),
            (array_agg(f.key order by f.last_at desc))[1], (array_agg(f.attempts order by f.last_at desc))[1],
            (array_agg(f.message order by f.last_at desc))[1]),
        'repair what refuses it: it is tried again by itself', null
    from recovery.failure as f group by f.watch
$$;

comment on function recovery._examine_work() is
    'Open rows that nobody owns, or that stay open. For recovery.examine().';

revoke all on function recovery._examine_work() from public;
