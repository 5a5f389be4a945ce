create or replace function recovery._closing_columns(p_watch recovery.watch)
returns table (name text, option text, expression text, type text, is_json boolean, problem text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select s.name, s.option, s.expression, format_type(a.atttypid, a.atttypmod),
           coalesce(a.atttypid in ('json'::regtype, 'jsonb'::regtype), false),
           case
               when s.name = 'server_epoch' or a.attgenerated <> '' or s.name = any(p_watch.key_columns) then
                   format('column "%s" of %s cannot be set by a closing', s.name, p_watch.relation)
               when a.attnum is null then
                   format('column "%s" of %s does not exist', s.name, p_watch.relation)
               when s.option = 'attempts' then
                   case when a.atttypid not in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                             or p_watch.spec -> 'close' ? s.name or p_watch.spec -> 'requeue' ? s.name then
                       format('column "%s" must be an integer that no close or requeue expression sets', s.name)
                   end
               when s.option = 'not_before' then
                   case when a.atttypid <> 'timestamptz'::regtype
                             or p_watch.spec -> 'close' ? s.name or p_watch.spec -> 'requeue' ? s.name then
                       format('column "%s" must be a timestamptz that no close or requeue expression sets: '
                           'for another type set it in requeue, by c.at and c.attempt', s.name)
                   end
               when s.expression is null then
                   format('column "%s" has no expression: write "null" to set null', s.name)
           end
    from (
        select c.key, 'close', c.value from jsonb_each_text(p_watch.spec -> 'close') as c
        union all
        select r.key, 'requeue', r.value
        from jsonb_each_text(coalesce(nullif(p_watch.spec -> 'requeue', 'null'), '{}')) as r
        union all
        select p_watch.attempts, 'attempts', null where p_watch.attempts is not null
        union all
        select p_watch.not_before, 'not_before', null where p_watch.not_before is not null
    ) as s (name, option, expression)
    left join pg_attribute as a
        on a.attrelid = p_watch.relation and a.attname = s.name and a.attnum > 0 and not a.attisdropped
    order by s.name, s.option
$$;

comment on function recovery._closing_columns(recovery.watch) is
    'The columns that the options close, requeue, attempts and not_before of a watch name, with their type and what '
    'is wrong with them.';

revoke all on function recovery._closing_columns(recovery.watch) from public;
