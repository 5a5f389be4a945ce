create or replace function recovery._check_label(p_label text)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if btrim(p_label) = '' or octet_length(p_label) > 200 or p_label ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010', format('sweep label %s is not allowed', quote_literal(left(p_label, 60))),
            'Give 1 to 200 bytes without control characters.');
    end if;
end
$$;

comment on function recovery._check_label(text) is 'Refuses a sweeper''s label that cannot work: RC010.';

revoke all on function recovery._check_label(text) from public;
