create or replace function recovery._examine_watch(p_watch recovery.watch)
returns setof recovery.finding
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
    v_repair constant text[] := array[format('select recovery.alter(%L, %L);', p_watch.relation, '{}')];
    v_runner recovery.runner;
    v_hint   text;
    v_broken boolean := false;
begin
    select r.* into v_runner from recovery.runner as r where r.id = p_watch.runner;
    return query
        select 'column-missing', 'error', 'watch', p_watch.name,
            format('%s has no column %s any more', p_watch.relation, c.name),
            case when not (c.name = 'server_epoch' and p_watch.own_column)
                 then format('select recovery.alter(%L, ''{"option": "expression"}''); with what the table has now',
                     p_watch.relation) end,
            case when c.name = 'server_epoch' and p_watch.own_column then v_repair end
        from (
            select 'server_epoch' as name union select * from unnest(p_watch.key_columns)
            union select * from jsonb_object_keys(p_watch.close)
            union select * from jsonb_object_keys(coalesce(p_watch.requeue, '{}'))
            union select p_watch.attempts where p_watch.attempts is not null) as c
        where not exists (
            select from pg_attribute as a
            where a.attrelid = p_watch.relation and a.attname = c.name and a.attnum > 0 and not a.attisdropped);
    v_broken := found;
    return query
        select 'table-grant-missing', 'error', 'watch', p_watch.name,
            format('its runner %s may not %s %s', v_runner.role, p.privilege, p_watch.relation), null, v_repair
        from unnest(array['select', 'update']) as p (privilege) join pg_roles as r on r.rolname = v_runner.role
        where (v_runner.privileged or pg_has_role(r.oid, v_runner.owner, 'usage'))
          and not has_table_privilege(r.oid, p_watch.relation, p.privilege)
        limit 1;
    v_broken := v_broken or found;
    begin
        perform recovery._rehearse_watch(p_watch.relation);
    exception when lock_not_available then
        raise;  -- nothing is known of it: recovery.examine() says so
    when others then
        get stacked diagnostics v_hint = pg_exception_hint;
        if sqlerrm like 'row security of %' then
            return query select 'watch-row-security', 'error', 'watch', p_watch.name, sqlerrm,
                format('alter role %I bypassrls;', v_runner.role), null::text[];
        elsif not v_broken then
            return query select 'watch-broken', 'error', 'watch', p_watch.name, sqlerrm, concat_ws(' ',
                nullif(v_hint, ''), format('Repair it, or change the watch: '
                    'select recovery.alter(%L, ''{"option": "expression"}'');', p_watch.relation)), null::text[];
        end if;
        v_broken := true;
    end;
    return query
        select 'watch-broken', 'error', 'watch', b.watch, format('%s (since %s)', b.message,
            date_trunc('second', b.since)),
            b.remedy, null::text[]
        from recovery.broken_watch as b where b.watch = p_watch.name and not v_broken
          -- Else something has changed since, and the next sweep looks again.
          and (b.state is null or b.state = recovery._table_state(p_watch));
    return query
        select 'watch-stale', 'warning', 'watch', p_watch.name,
            format('%s has got triggers since it was attached: what they change is not noticed', p_watch.relation),
            null, v_repair
        where recovery._is_stale(p_watch.relation);
end
$$;

comment on function recovery._examine_watch(recovery.watch) is
    'What is wrong with a watch: columns and rights that are gone, statements that cannot be planned. For '
    'recovery.examine().';

revoke all on function recovery._examine_watch(recovery.watch) from public;
