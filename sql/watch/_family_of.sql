create or replace function recovery._family_of(p_watch text, p_scope text, p_what text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_family text;
begin
    select w.family into v_family from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        perform recovery._fail('RC008', format('nothing is watched as %s', coalesce(quote_literal(p_watch), 'null')),
            'See recovery.watch for the names.');
    elsif p_scope is null or p_scope not in ('row', 'group') then
        perform recovery._fail('RC010',
            format('%s scope %s is not known', p_what, coalesce(quote_literal(p_scope), 'null')),
            'Allowed are row and group.');
    end if;
    return v_family;
end
$$;

comment on function recovery._family_of(text, text, text) is
    'Family of a watch; p_what (fuse, touch, process) names what is wrong in errors. RC008 not watched, RC010 unknown '
    'scope.';

revoke all on function recovery._family_of(text, text, text) from public;
