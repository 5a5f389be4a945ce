create or replace function recovery._lend_table(p_table regclass, p_role name)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other record;
begin
    execute format('grant usage on schema %s to %I',
        (select c.relnamespace::regnamespace from pg_class as c where c.oid = p_table), p_role);
    -- The table; and where it has triggers or rules of its own, what these may need of the same owner in the same
    -- schema.
    for v_other in
        select c.oid::regclass as name, c.relkind
        from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace and c.relowner = t.relowner
            and c.relkind in ('r', 'p', 'v', 'S')
        where t.oid = p_table
          and (c.oid = t.oid
               or exists (select from pg_trigger as g where not g.tgisinternal
                   and (g.tgrelid = t.oid or g.tgrelid in (select p.relation from recovery._partitions_of(t.oid) as p))
                   and g.tgname !~ '^(zz_)?recovery_[0-9]{2}_')
               or exists (select from pg_rewrite as r where r.ev_class = t.oid))
    loop
        execute format('grant %s %s to %I',
            case v_other.relkind when 'S' then 'usage on sequence' else 'select, insert, update, delete on table' end,
            v_other.name, p_role);
    end loop;
end
$$;

comment on function recovery._lend_table(regclass, name) is
    'Grants a runner what it needs of a table whose owner is a superuser or belongs to recovery_owner: there it '
    'cannot be a member.';

revoke all on function recovery._lend_table(regclass, name) from public;
