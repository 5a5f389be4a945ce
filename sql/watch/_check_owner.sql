create or replace function recovery._check_owner(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner regrole := (select c.relowner from pg_class as c where c.oid = p_table);
begin
    if v_owner is not null and not recovery._owns_table(p_table) then
        perform recovery._fail('42501', format('must be owner of table %s', p_table),
            format('It belongs to %s.', v_owner));
    end if;
end
$$;

comment on function recovery._check_owner(regclass) is
    'Refuses a caller without the rights of a table''s owner: 42501.';

revoke all on function recovery._check_owner(regclass) from public;
