create or replace function recovery._check_constraints(p_watch recovery.watch)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Nothing is written and no trigger fires: this is for a sweep, and for a statement of the host, which must not wait.
   recovery._rehearse_closing does more when a table is attached. One bad row is no broken watch: a
   constraint counts that reads only what the closing sets, or that several rows do not pass, and none does. */
declare
    v_columns text;
    v_tests   text;
    v_found   text;
begin
    select string_agg(format('%s as %I', coalesce('(' || (p_watch.close ->> a.attname) || ')::'
               || format_type(a.atttypid, a.atttypmod), format('r.%I', a.attname)), a.attname), ', ' order by a.attnum)
    into v_columns
    from pg_attribute as a where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped;
    select string_agg(format('(%L, %L::boolean, %s)', t.name, t.certain, t.holds), ', ' order by t.name) into v_tests
    from (
        select k.conname::text, not exists (
                   select from unnest(k.conkey) as c (n) join pg_attribute as a
                     on a.attrelid = k.conrelid and a.attnum = c.n
                   where not p_watch.close ? a.attname),
               '(' || pg_get_expr(k.conbin, k.conrelid) || ')'
        from pg_constraint as k where k.conrelid = p_watch.relation and k.contype = 'c'
        union all
        select 'not null of ' || a.attname, false, format('%I is not null', a.attname)
        from pg_attribute as a
        where a.attrelid = p_watch.relation and a.attnotnull and not a.attisdropped and p_watch.close ? a.attname
    ) as t (name, certain, holds);
    if v_tests is null then
        return;
    end if;
    select f #>> '{}' into v_found
    from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
        select to_jsonb(k.recovery_name)
        from (
            select {columns}
            from (
                (select r.* from {relation} as r where ({open}) limit 20)
                union all
                (select r.* from {relation} as r limit 1)
            ) as r
            cross join (values ('superseded'::text, 'server restart'::text, 'sweep'::text, now(), 0::bigint, 0::bigint))
                as c (reason, message, detector, at, ms, epoch)
        ) as {name!i}
        cross join lateral (values {tests}) as k (recovery_name, recovery_certain, recovery_holds)
        group by k.recovery_name
        having bool_and(k.recovery_holds is false) and (count(*) > 3 or bool_and(k.recovery_certain))
        order by 1 limit 1
        $sql$, jsonb_build_object(
        'columns', v_columns,
        'relation', p_watch.relation,
        'open', p_watch.open,
        'name', (select c.relname from pg_class as c where c.oid = p_watch.relation),
        'tests', v_tests))) as f;
    if v_found is not null then
        perform recovery._fail('RC006', format('each close of a row of %s would fail: constraint "%s" (SQLSTATE %s)',
            p_watch.relation, v_found, case when v_found like 'not null of %' then '23502' else '23514' end),
            'Give values that the table accepts, or change what refuses them.');
    end if;
end
$$;

comment on function recovery._check_constraints(recovery.watch) is
    'Tries the CHECK and NOT NULL constraints of a table on a row as a closing would leave it, without writing it. '
    'RC006 with the constraint that refuses it.';

revoke all on function recovery._check_constraints(recovery.watch) from public;
