create or replace function recovery.attach_steps(p_table regclass, p_lock_timeout interval default '50 ms')
returns table (step integer, of integer, what text, statement text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
/* For a table that must not wait: recovery.attach(..., p_concurrently => true) has registered it, and a client
   executes the first of these statements, asks again, and so on. What is there is looked up each time, so whoever was
   interrupted goes on where it stands. */
declare
    v_watch recovery.watch;
    v_whats text[] := '{}';
    v_texts text[] := '{}';
    v_step  record;
begin
    perform recovery._check_owner(p_table);
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table), 'Call recovery.attach.');
    end if;
    if not exists (
        select from pg_attribute as a where a.attrelid = p_table and a.attname = 'server_epoch' and not a.attisdropped)
    then
        v_whats := v_whats || 'add column server_epoch'::text;
        v_texts := v_texts || recovery._brief_sql(format(
            'select recovery._add_owner_column(w) from recovery.watch as w where w.relation = %L::regclass',
            p_table), p_lock_timeout);
    end if;
    for v_step in
        select s.what, s.statement
        from (values (1, 'open'), (2, 'started')) as k (n, kind)
        cross join lateral recovery._index_steps(v_watch, k.kind, '', p_lock_timeout) with ordinality
            as s (what, statement, m)
        where k.kind = 'open' or v_watch.supervised is not null
        order by k.n, s.m
    loop
        v_whats := v_whats || v_step.what;
        v_texts := v_texts || v_step.statement;
    end loop;
    if v_texts <> '{}' then
        perform recovery._check_definer(v_watch);
    end if;
    if v_texts <> '{}' or v_watch.attached is null or recovery._watch_flaw(v_watch) is not null then
        v_whats := v_whats || 'rehearse, make triggers'::text;
        v_texts := v_texts || recovery._brief_sql(
            format('select recovery._finish_attach(%L::regclass)', p_table), p_lock_timeout);
    end if;
    return query select s.n::integer, cardinality(v_texts), v_whats[s.n], s.text
        from unnest(v_texts) with ordinality as s (text, n) order by s.n;
end
$$;

comment on function recovery.attach_steps(regclass, interval) is
    'What is left to do after recovery.attach(..., p_concurrently => true), or to repair a watch: statements for a '
    'client to execute one by one, each in a transaction of its own (create index concurrently needs that), asking '
    'anew after each. p_lock_timeout: how long one waits for a lock, while others wait behind it; 55P03 then, and it '
    'is tried again. No row: all is done. RC008 not watched, 42501 not the owner.';

revoke all on function recovery.attach_steps(regclass, interval) from public;
