create or replace function recovery._row_key_sql(p_watch recovery.watch, p_row text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case when p_watch.key_columns is null
        then format('recovery._stale_value(%s, ''key'', %s.*)', p_watch.id, p_row)
        else recovery._key_text(p_watch.key_columns, p_row) end
$$;

comment on function recovery._row_key_sql(recovery.watch, text) is
    'SQL text for the key of the row p_row (new, old, r) in a trigger function; of recovery._stale_watch: by its '
    'present names.';

revoke all on function recovery._row_key_sql(recovery.watch, text) from public;
