create or replace function recovery._watch_definitions(p_watch recovery.watch)
returns table (name text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind text;
begin
    foreach v_kind in array array['open', 'started'] loop
        name := 'recovery_' || v_kind || '_' || p_watch.id;
        if (v_kind = 'open' or p_watch.supervised is not null) and not exists (
            select from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace
            where t.oid = p_watch.relation and c.relname = _watch_definitions.name)
        then
            statement := recovery._index_sql(p_watch, v_kind);
            return next;
        end if;
    end loop;
    return query
        select t.name, t.statement from recovery._trigger_definitions(p_watch) as t
        where not exists (select from pg_trigger as g where g.tgrelid = p_watch.relation and g.tgname = t.name);
end
$$;

comment on function recovery._watch_definitions(recovery.watch) is
    'The statements that make the index and the triggers of a watch, as far as its table does not have them.';

revoke all on function recovery._watch_definitions(recovery.watch) from public;
