create or replace function recovery._has_guards(p_family text)
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select recovery._has_fuses(p_family)
        or exists (select from recovery.watch as w where w.family = p_family and w.alive is not null)
$$;

comment on function recovery._has_guards(text) is
    'Whether anything may guard a row of a family, a fuse or evidence in the host''s own tables: only then do its '
    'statements look for that.';

revoke all on function recovery._has_guards(text) from public;
