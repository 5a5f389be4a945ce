create or replace function recovery._check_unit(p_watch text, p_scope text, p_key text, p_what text)
returns recovery.unit
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit := recovery._unit_of(p_watch, p_scope, p_key, p_what);
begin
    if p_scope = 'group' and exists (select from recovery.watch as w where w.name = p_watch and w.group_by is null) then
        perform recovery._fail('RC010', format('watch "%s" has no groups', p_watch), 'Give scope row.');
    end if;
    perform recovery._check_key(p_key, p_what);
    return v_unit;
end
$$;

comment on function recovery._check_unit(text, text, text, text) is
    'As recovery._unit_of, and RC010 if the unit cannot be: a group of a watch without groups, no key.';

revoke all on function recovery._check_unit(text, text, text, text) from public;
