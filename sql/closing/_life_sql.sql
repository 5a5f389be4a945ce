create or replace function recovery._life_sql(p_watch recovery.watch, p_question text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* guards  there is a sign of life
   spares  there is one, or it is missing for too short a time: whose heartbeat is late because the database stood
           still was guarded a moment ago
   dead    there is none
   agrees  there is none where a fuse says that the process is dead; a timeout asks nobody */
    select case when p_watch.alive is not null then recovery._render_sql(case p_question
            when 'guards' then '({alive}) is true'
            when 'spares' then $sql$
                case ({alive}) when true then true when false then not exists (
                      select from recovery.own_lifeless as l where l.watch = {watch!l} and l.key = {key}) else false end
                $sql$
            when 'dead' then '({alive}) is false'
            when 'agrees' then
                $sql$(($1).reason not in ('fuse_expired', 'process_dead') or ({alive}) is not true)$sql$ end,
        jsonb_build_object('alive', p_watch.alive) || case when p_question = 'spares' then jsonb_build_object(
            'watch', p_watch.name, 'key', recovery._key_text(p_watch.key_columns, 'r')) else '{}' end) end
$$;

comment on function recovery._life_sql(recovery.watch, text) is
    'A condition about the evidence of life that the host''s own tables give for a row; null for other watches.';

revoke all on function recovery._life_sql(recovery.watch, text) from public;
