create or replace function recovery.current_states(p_watch text, p_scope text, p_keys text[])
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
    v_watch  recovery.watch;
    v_task   recovery.task;
    v_parts  integer;
    v_states jsonb;
    v_found  text[] := '{}';
    v_key    text;
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch;
    if not found then
        return array_fill('unknown'::text, array[cardinality(p_keys)]);
    end if;
    -- A host that alters its table, or has broken it, must not hold up who asks.
    begin
        if p_scope = 'group' then
            foreach v_key in array p_keys loop
                v_found := v_found || case when recovery._is_group_open(v_watch.family, array[v_key])
                    then 'open' else 'closed' end;
            end loop;
            return v_found;
        end if;
        v_parts := cardinality(v_watch.key_columns);
        v_task.keys := p_keys;
        select s.* into v_states from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
            select jsonb_agg(coalesce(s.state, 'deleted') order by k.n)
            from unnest(($1).keys) with ordinality as k (key, n)
            left join lateral (
                select case when ({open}) then 'open' else 'closed' end as state
                from {relation} as r where {same} limit 1) as s on true
            $sql$, jsonb_build_object(
            'open', v_watch.open,
            'relation', v_watch.relation,
            'same', (
                select string_agg(format('r.%I = (%s)::%s', c.name,
                    case v_parts when 1 then 'k.key' else format('k.key::jsonb ->> %s', c.n - 1) end,
                    v_watch.key_types[c.n]), ' and ' order by c.n)
                from unnest(v_watch.key_columns) with ordinality as c (name, n)))), v_task) as s;
        return recovery._to_texts(v_states);
    exception when others then
        return array_fill('unknown'::text, array[cardinality(p_keys)]);
    end;
end
$$;

comment on function recovery.current_states(text, text, text[]) is
    'What rows of a watch (or with scope group: groups) are now, in the order of their keys: open, closed, deleted, or '
    'unknown, where the table can''t be asked at once.';

revoke all on function recovery.current_states(text, text, text[]) from public;
