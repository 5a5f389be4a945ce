create or replace function recovery._check_key(p_key text, p_what text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_key is null or p_key = '' then
        perform recovery._fail('RC010', format('a %s needs the key of a row or group', p_what),
            'As recovery.event.key and group_key show it.');
    elsif octet_length(p_key) > 2000 then
        perform recovery._fail('RC010',
            format('the key %s... of a %s has %s bytes', left(p_key, 40), p_what, octet_length(p_key)),
            'Give 1 to 2000 bytes.');
    end if;
end
$$;

comment on function recovery._check_key(text, text) is
    'Refuses a key that no row or group can have: RC010. p_what (fuse, touch, process) names it in the error.';

revoke all on function recovery._check_key(text, text) from public;
