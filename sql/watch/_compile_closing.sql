create or replace function recovery._compile_closing(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := p_watch;
    v_column record;
    v_what   text;
    v_sets   jsonb := '{"close": {}, "requeue": {}}';
    v_json   boolean := false;
begin
    for v_column in select c.* from recovery._closing_columns(v_watch) as c loop
        v_what := v_column.option || ' ' || v_column.name;
        if v_column.problem is not null then
            perform recovery._fail_expression(v_watch.relation, v_what, v_column.problem);
        elsif v_column.option not in ('attempts', 'not_before') then
            v_sets[v_column.option][v_column.name] := to_jsonb((recovery._compile_expression(
                v_watch.relation, v_what, v_column.expression, v_column.type, p_closing => true)).o_text);
        end if;
        v_json := v_json or v_column.is_json;
    end loop;
    v_watch.requeue := nullif(v_sets -> 'requeue', '{}');
    v_watch.close := recovery._requeue_sql(v_watch, v_sets -> 'close', v_sets -> 'requeue');
    v_watch.canonical := case when v_watch.attempts is null then v_sets - 'requeue' else v_sets end;
    v_watch.diff := v_json and v_watch.spec ->> 'image' is null;
    v_watch.image := (recovery._compile_expression(v_watch.relation, 'image', coalesce(v_watch.spec ->> 'image', (
        select 'jsonb_build_object(' || string_agg(format('%L, r.%I', s.key, s.key), ', ' order by s.key) || ')'
        from jsonb_object_keys(v_watch.close) as s (key))), 'jsonb')).o_text;
    return v_watch;
end
$$;

comment on function recovery._compile_closing(recovery.watch) is
    'Step of recovery._compile_watch: what a closing sets, and what its event records.';

revoke all on function recovery._compile_closing(recovery.watch) from public;
