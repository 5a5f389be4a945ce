create or replace function recovery._unit_of(p_watch text, p_scope text, p_key text, p_what text)
returns recovery.unit
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit recovery.unit;
begin
    select w.family, p_scope, w.name, p_key into v_unit from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        perform recovery._fail('RC008', format('nothing is watched as %s', coalesce(quote_literal(p_watch), 'null')),
            'See recovery.watch for the names.');
    elsif p_scope is null or p_scope not in ('row', 'group') then
        perform recovery._fail('RC010',
            format('%s scope %s is not known', p_what, coalesce(quote_literal(p_scope), 'null')),
            'Allowed are row and group.');
    end if;
    return v_unit;
end
$$;

comment on function recovery._unit_of(text, text, text, text) is
    'The unit that a caller names; p_what (fuse, touch, process) names what is wrong in errors. '
    'RC008 not watched, RC010 unknown scope.';

revoke all on function recovery._unit_of(text, text, text, text) from public;
