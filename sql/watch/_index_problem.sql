create or replace function recovery._index_problem(
    p_watch recovery.watch, p_kind text, p_suffix text default '', out problem text, out remedy text
)
returns record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name  text := format('recovery_%s_%s%s', p_kind, p_watch.id, p_suffix);
    v_index record;
    v_bad   regclass;
    v_is    text;
    v_as    text;
begin
    select c.oid::regclass as name, i.indexrelid, i.indrelid, i.indisvalid and i.indisready and i.indislive as well,
           t.relname as of, i.indnkeyatts as columns
    into v_index
    from pg_class as t join pg_class as c on c.relnamespace = t.relnamespace and c.relname = v_name
    left join pg_index as i on i.indexrelid = c.oid
    where t.oid = p_watch.relation;
    if not found then
        return;  -- recovery._watch_definitions says so
    elsif v_index.indrelid is distinct from p_watch.relation then
        problem := format('%s is not its index', v_index.name);
        remedy := format('rename %s, then call recovery.attach again', v_index.name);
        return;
    end if;
    -- Of a partitioned table's index every leaf's counts.
    select i.indexrelid into v_bad from pg_partition_tree(v_index.indexrelid) as p
        join pg_index as i on i.indexrelid = p.relid
    where p.isleaf and not (i.indisvalid and i.indisready and i.indislive) limit 1;
    if v_bad is not null or not v_index.well then
        problem := format('index %s is invalid: each sweep reads the whole table', coalesce(v_bad, v_index.name));
        remedy := format('reindex index concurrently %s;', coalesce(v_bad, v_index.name));
        return;
    end if;
    select concat(string_agg(pg_get_indexdef(v_index.indexrelid, n, false), ','), '|',
        pg_get_expr(i.indpred, i.indrelid)) into v_is
    from pg_index as i cross join generate_series(1, v_index.columns) as n where i.indexrelid = v_index.indexrelid
        group by i.indexrelid;
    v_as := case p_kind
        when 'open' then concat('server_epoch,', p_watch.group_by || ',', (
            select string_agg(quote_ident(k.name), ',' order by k.n)
                from unnest(p_watch.key_columns) with ordinality as k (name, n)), '|', p_watch.open)
        else concat(p_watch.started, '|', p_watch.open, ' AND ', p_watch.started, ' IS NOT NULL') end;
    -- As an index prints it: without the alias, but for a whole row.
    v_as := replace(replace(recovery._realias_sql(v_as, E'\x01'), E'\x01.*', quote_ident(v_index.of) || '.*'), E'\x01.',
        '');
    if recovery._bare_sql(v_is) <> recovery._bare_sql(v_as) then
        problem := format('index %s is not the one that recovery.attach made', v_index.name);
        remedy := format('drop index %s; then call recovery.attach again', v_index.name);
    end if;
end
$$;

comment on function recovery._index_problem(recovery.watch, text, text) is
    'What is wrong with the index recovery_<kind>_<id> (kind open or started) of a watch: another table''s, invalid, '
    'another definition; null: nothing. That it is missing, recovery._watch_definitions says.';

revoke all on function recovery._index_problem(recovery.watch, text, text) from public;
