create or replace function recovery._calls_functions(p_watch recovery.watch)
returns boolean
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from jsonb_array_elements(p_watch.uses) as u (use)
        where u.use ->> 0 = 'function'
          and strpos(concat_ws(' ', p_watch.open, p_watch.group_by, p_watch.image, p_watch.owner),
                     (u.use ->> 3) || '(') > 0)
$$;

comment on function recovery._calls_functions(recovery.watch) is
    'Whether the expressions that stand in the trigger functions of a watch call functions that are not built in.';

revoke all on function recovery._calls_functions(recovery.watch) from public;
