create or replace function recovery._is_certain_error(p_watch recovery.watch, p_error jsonb)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with
    fixed as (
        -- What a closing sets without a look at the row.
        select s.key::name as name from jsonb_each_text(p_watch.close) as s
        where p_watch.attempts is null and s.value !~ '\mr\.'
           or p_watch.attempts is not null and s.key <> p_watch.attempts
               and regexp_replace(
                   case when p_watch.max_attempts = 1 then p_watch.spec -> 'close' else p_watch.spec -> 'requeue' end
                       ->> s.key, $re$'(?:[^']|'')*'|\mc\.[a-z]+$re$, '', 'g') !~ format('\m(r\.|%s)\M', (
                       select string_agg(a.attname, '|') from pg_attribute as a
                       where a.attrelid = p_watch.relation and a.attnum > 0 and a.attname ~ '^[a-z_0-9]+$'))
    ),
    as_given as (
        select not exists (
            select from jsonb_object_keys(p_watch.close) as s (key)
            where s.key not in (select f.name from fixed as f) and s.key is distinct from p_watch.attempts) as all_fixed
    )
    select case
        -- Names, rights, syntax: of the host's triggers.
        when p_error ->> 'sqlstate' like '42%' then true
        when p_error ->> 'sqlstate' ~ '^(22|RC)' or p_error ->> 'type' is not null then
            (select g.all_fixed from as_given as g)
        when p_error ->> 'sqlstate' = '23502' then p_error ->> 'column' in (select f.name from fixed as f)
        when p_error ->> 'sqlstate' in ('23503', '23514') then coalesce((
            select bool_and(a.attname in (select f.name from fixed as f))
            from pg_constraint as c cross join lateral unnest(c.conkey) as k (attnum)
            join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
            where c.conrelid = p_watch.relation and c.conname = p_error ->> 'constraint'), false)
        else false
    end
$$;

comment on function recovery._is_certain_error(recovery.watch, jsonb) is
    'Whether an error of a rehearsed closing would meet each row: a constraint over nothing but what the closing sets '
    'to the same values always, a name or right that a trigger lacks.';

revoke all on function recovery._is_certain_error(recovery.watch, jsonb) from public;
