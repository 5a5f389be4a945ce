create or replace function recovery._index_steps(
    p_watch recovery.watch, p_kind text, p_suffix text, p_lock_timeout interval
)
returns table (what text, statement text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* What a client still has to execute, each statement by itself, until the index stands: nobody waits meanwhile.
   What an interruption has left invalid goes first. Of a partitioned table the index on the parent is only an entry
   in the catalog; each partition gets its own, named by what it is, and joins it. */
declare
    v_schema regnamespace := (select c.relnamespace from pg_class as c where c.oid = p_watch.relation);
    v_name   text := format('recovery_%s_%s%s', p_kind, p_watch.id, p_suffix);
    v_root   regclass := recovery._find_index(p_watch.relation, v_name);
    v_flaw   record;
    v_wrong  boolean;
    v_sum    text := left(md5(recovery._index_sql(p_watch, p_kind)), 6);
    v_joined jsonb := '{}';
    v_node   record;
    v_found  regclass;
    v_well   boolean;
    v_index  text;
begin
    v_flaw := recovery._index_problem(p_watch, p_kind, p_suffix);
    if v_flaw.problem like '% is not its index' then
        perform recovery._fail('RC006', v_flaw.problem, v_flaw.remedy);
    end if;
    v_wrong := coalesce(v_flaw.problem like '% is not the one that %', false);
    if v_root is not null and not v_wrong then
        select jsonb_object_agg(i.indrelid::oid, i.indexrelid::regclass) into v_joined
        from pg_partition_tree(v_root) as t join pg_index as i on i.indexrelid = t.relid;
    end if;
    for v_node in
        select n.relid, n.parentrelid, n.isleaf, n.level, c.relnamespace::regnamespace as schema
        from pg_partition_tree(p_watch.relation) as n join pg_class as c on c.oid = n.relid
        union all
        select p_watch.relation, null, true, 0, v_schema
        where not exists (select from pg_partition_tree(p_watch.relation))
        order by level, relid
    loop
        v_index := v_joined ->> v_node.relid::oid::text;
        if v_node.level > 0 and v_index is not null then
            if v_node.isleaf and exists (
                select from pg_partition_tree(v_root) as t join pg_index as i on i.indexrelid = t.relid
                where i.indrelid = v_node.relid and not (i.indisvalid and i.indisready))
            then
                what := 'reindex ' || v_index;
                statement := 'reindex index concurrently ' || v_index;
                return next;
            end if;
            continue;
        end if;
        if v_node.level > 0 then
            v_name := format('recovery_%s_%s%s_%s_%s', p_kind, p_watch.id, p_suffix, v_node.relid::oid, v_sum);
        end if;
        v_index := format('%s.%I', v_node.schema, v_name);
        v_found := recovery._find_index(v_node.relid, v_name);
        v_well := v_found is not null and (v_node.level > 0 or not v_wrong) and (
            not v_node.isleaf or exists (
                select from pg_index as i where i.indexrelid = v_found and i.indisvalid and i.indisready));
        if v_found is not null and not v_well then
            what := 'drop index ' || v_name;
            statement := case when v_node.isleaf then 'drop index concurrently ' || v_index
                              else recovery._brief_sql('drop index ' || v_index, p_lock_timeout) end;
            return next;
        elsif v_found is not null then
            v_joined := v_joined || jsonb_build_object(v_node.relid::oid, v_index);
        end if;
        if not v_joined ? v_node.relid::oid::text then
            what := 'create index ' || v_name;
            statement := recovery._index_sql(p_watch, p_kind, v_node.relid, v_name,
                case when v_node.isleaf then 'concurrently' else 'only' end);
            if not v_node.isleaf then
                statement := recovery._brief_sql(statement, p_lock_timeout);
            end if;
            return next;
            v_joined := v_joined || jsonb_build_object(v_node.relid::oid, v_index);
        end if;
        if v_node.level > 0 then
            what := 'attach index ' || v_name;
            statement := recovery._brief_sql(format('alter index %s attach partition %s',
                v_joined ->> v_node.parentrelid::oid::text, v_index), p_lock_timeout);
            return next;
        end if;
    end loop;
end
$$;

comment on function recovery._index_steps(recovery.watch, text, text, interval) is
    'The statements that are missing until the index recovery_<kind>_<id><suffix> of a watch stands, for a client to '
    'execute one by one: they cannot be executed in a function, or block nobody only if each is a transaction.';

revoke all on function recovery._index_steps(recovery.watch, text, text, interval) from public;
