create or replace function recovery.alter_steps(
    p_table regclass, p_changes jsonb, p_lock_timeout interval default '50 ms'
)
returns table (step integer, of integer, what text, statement text)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_before recovery.watch;
    v_after  recovery.watch;
    v_whats  text[] := '{}';
    v_texts  text[] := '{}';
    v_step   record;
begin
    perform recovery._check_owner(p_table);
    select w.* into v_before from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    v_after := recovery._altered_watch(v_before, p_changes);
    for v_step in
        select s.what, s.statement
        from (values (1, 'open'), (2, 'started')) as k (n, kind)
        cross join lateral recovery._index_steps(v_after, k.kind, '_new', p_lock_timeout) with ordinality
            as s (what, statement, m)
        where v_before.attached is not null and (k.kind = 'open' or v_after.supervised is not null)
          -- What is there, and fits, stays.
          and (recovery._index_sql(v_before, k.kind) is distinct from recovery._index_sql(v_after, k.kind)
               or (recovery._index_problem(v_before, k.kind)).problem is not null)
        order by k.n, s.m
    loop
        v_whats := v_whats || v_step.what;
        v_texts := v_texts || v_step.statement;
    end loop;
    if v_texts <> '{}' then
        perform recovery._check_definer(v_after);
    end if;
    if v_texts <> '{}' or v_after.spec <> v_before.spec or v_after.path <> v_before.path
        or v_before.attached is not null and recovery._watch_flaw(v_before) is not null
    then
        v_whats := v_whats || 'rehearse, change triggers'::text;
        v_texts := v_texts || recovery._brief_sql(
            format('select recovery.alter(%L::regclass, %L)', p_table, p_changes), p_lock_timeout);
    end if;
    return query select s.n::integer, cardinality(v_texts), v_whats[s.n], s.text
        from unnest(v_texts) with ordinality as s (text, n) order by s.n;
end
$$;

comment on function recovery.alter_steps(regclass, jsonb, interval) is
    'As recovery.attach_steps: the statements by which a client changes options of a watch while nobody waits. An '
    'index that changes is made beside the one in use. Errors as recovery.alter.';

revoke all on function recovery.alter_steps(regclass, jsonb, interval) from public;
