create or replace function recovery._runner_of(p_table regclass)
returns recovery.runner
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from recovery.runner as r join pg_class as c on c.relowner = r.owner where c.oid = p_table
$$;

comment on function recovery._runner_of(regclass) is 'The runner of a table''s owner; null before recovery.permit.';

revoke all on function recovery._runner_of(regclass) from public;
