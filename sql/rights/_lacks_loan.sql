create or replace function recovery._lacks_loan(p_table regclass)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- As recovery._lend_table grants it.
    select exists (
        select from pg_class as t
        join recovery.runner as n on n.owner = t.relowner and n.privileged
        join pg_class as c on c.relnamespace = t.relnamespace and c.relowner = t.relowner
            and c.relkind in ('r', 'p', 'v')
        where t.oid = p_table and not has_table_privilege(n.role, c.oid, 'insert')
          and not c.relispartition  -- written by way of its parent
          and exists (select from pg_trigger as g where not g.tgisinternal
              and (g.tgrelid = t.oid or g.tgrelid in (select p.relation from recovery._partitions_of(t.oid) as p))
              and g.tgname !~ '^(zz_)?recovery_[0-9]{2}_'))
$$;

comment on function recovery._lacks_loan(regclass) is
    'Whether a superuser''s table got triggers after it was attached: what they may write has not been lent to the '
    'runner yet.';

revoke all on function recovery._lacks_loan(regclass) from public;
