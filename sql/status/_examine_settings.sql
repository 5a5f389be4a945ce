create or replace function recovery._examine_settings()
returns setof recovery.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 'replica-role', 'error', 'setting', p.name, p.problem, p.remedy, null::text[]
    from recovery.problem as p where p.kind = 'setting'
    union all
    select 'timeout-unsupervised', 'warning', 'setting', s.name,
        format('%s for %s does nothing: nothing there is supervised', s.value,
            case when s.watch = '' then 'every watch' else 'watch ' || s.watch end),
        format('recovery config unset %s%s, or call recovery.supervise', s.name, ' --watch ' || nullif(s.watch, '')),
        null
    from recovery.setting as s
    where s.name in ('tool_timeout', 'task_timeout') and s.value <> 'off' and s.kind = '' and s.group_key = ''
      and exists (select from recovery._attached_watches() as w where s.watch in ('', w.name))
      and not exists (
          select from recovery._attached_watches() as w where s.watch in ('', w.name) and w.supervised is not null)
    union all
    select 'setting-unused', 'note', 'setting', s.name, format('is set for %s, which is not watched', s.watch),
        format('select recovery.configure(%L, null, %L, nullif(%L, %4$L), nullif(%L, %4$L));', s.name, s.watch, s.kind,
            '', s.group_key), null
    from recovery.setting as s
    where s.watch <> '' and not exists (select from recovery._attached_watches() as w where w.name = s.watch)
$$;

comment on function recovery._examine_settings() is 'Settings that do harm, or nothing. For recovery.examine().';

revoke all on function recovery._examine_settings() from public;
