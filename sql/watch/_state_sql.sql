create or replace function recovery._state_sql(p_watch recovery.watch, p_row text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select format('(%s) is true', recovery._realias_sql(p_watch.open, p_row))
$function$;

comment on function recovery._state_sql(recovery.watch, text) is
    'SQL text for whether the row old or new of a trigger is open.';

revoke all on function recovery._state_sql(recovery.watch, text) from public;
