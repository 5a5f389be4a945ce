create or replace function recovery._check_name(p_name text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_name is null or btrim(p_name) = '' then
        perform recovery._fail('RC004', format('server name %s is empty', coalesce(quote_literal(p_name), 'null')),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    elsif octet_length(p_name) > 200 then
        perform recovery._fail('RC004',
            format('server name "%s..." has %s bytes', left(p_name, 30), octet_length(p_name)),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    elsif p_name ~ '[[:cntrl:]]' then
        perform recovery._fail('RC004', format('server name %s has control characters', quote_literal(p_name)),
            'Give a stable name of 1 to 200 bytes, such as api-1.');
    end if;
end
$$;

comment on function recovery._check_name(text) is 'Refuses a server name that cannot work: RC004.';

revoke all on function recovery._check_name(text) from public;
