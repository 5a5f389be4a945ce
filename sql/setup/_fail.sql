create or replace function recovery._fail(p_code text, p_message text, p_hint text default null)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_hint is null then
        raise exception using errcode = p_code, message = p_message;
    end if;
    raise exception using errcode = p_code, message = p_message, hint = p_hint;
end
$$;

comment on function recovery._fail(text, text, text) is
    'Raises an error of class RC; the codes stand in ARCHITECTURE.md.';

revoke all on function recovery._fail(text, text, text) from public;
