create or replace function recovery._check_table(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_class record;
begin
    select c.relkind, c.relpersistence, c.relispartition, n.nspname, r.rolname into v_class
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace join pg_roles as r on r.oid = c.relowner
        where c.oid = p_table;
    if not found then
        perform recovery._fail('RC006', format('table %s does not exist', coalesce(p_table::text, 'null')));
    elsif v_class.relkind not in ('r', 'p') then
        perform recovery._fail('RC006', format('%s is a %s: only tables can be watched', p_table,
            case v_class.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
                 when 'i' then 'index' when 'S' then 'sequence' else 'relation of kind ' || v_class.relkind::text end));
    elsif v_class.relispartition then
        perform recovery._fail('RC006', format('%s is a partition', p_table), 'Watch the partitioned table.');
    elsif v_class.relpersistence = 't' then
        perform recovery._fail('RC006', format('%s is a temporary table: other sessions cannot see its rows', p_table));
    elsif v_class.nspname in ('recovery', 'pg_catalog', 'information_schema') then
        perform recovery._fail('RC006',
            format('%s belongs to schema %s and cannot be watched', p_table, v_class.nspname));
    elsif v_class.rolname = 'recovery_owner' then
        perform recovery._fail('RC006', format('%s belongs to recovery_owner and cannot be watched', p_table),
            'Give it to a role of the application.');
    end if;
end
$$;

comment on function recovery._check_table(regclass) is 'Refuses a relation that cannot be watched: RC006.';

revoke all on function recovery._check_table(regclass) from public;
