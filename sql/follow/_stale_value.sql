create or replace function recovery._stale_value(p_watch integer, p_what text, p_row anyelement)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value text;
begin
    execute recovery._stale_sql(p_watch, p_what) into v_value using p_row;
    return v_value;
exception when others then
    -- The watch is broken. Its rows wait, and the host's write goes on.
    raise debug 'recovery: what is % in a row of watch % cannot be told: %', p_what, p_watch, sqlerrm;
    return case p_what when 'key' then '?' when 'image' then '{}' end;
end
$$;

comment on function recovery._stale_value(integer, text, anyelement) is
    'The open, group, image or key of a row by the present names of what it uses, for a trigger function that still '
    'has the old ones. Null, with a warning, if it cannot be told.';

revoke all on function recovery._stale_value(integer, text, anyelement) from public;
