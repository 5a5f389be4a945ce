create or replace function recovery.detach_steps(p_table regclass, p_lock_timeout interval default '50 ms')
returns table (step integer, of integer, what text, statement text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set row_security = on
as $$
declare
    v_watch recovery.watch;
begin
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        perform recovery._fail('RC008', format('%s is not watched', p_table),
            'See recovery.watch for the tables that are.');
    end if;
    return query
        select (row_number() over (order by s.n, s.what))::integer, count(*) over ()::integer, s.what, s.statement
        from (
            select 1, 'drop triggers', recovery._brief_sql(
                format('select recovery._begin_detach(%L::regclass)', p_table), p_lock_timeout)
            where v_watch.attached is not null
            union all
            select 2, 'drop index ' || i.name, 'drop index concurrently ' || i.name
            from recovery._watch_indexes(v_watch) as i where i.plain
            union all
            select 3, 'drop column, forget the watch', recovery._brief_sql(
                format('select recovery.detach(%L::regclass)', p_table), p_lock_timeout)
        ) as s (n, what, statement)
        order by 1;
end
$$;

comment on function recovery.detach_steps(regclass, interval) is
    'As recovery.attach_steps: the statements that detach a table of which nobody is to wait. RC008 not watched.';

revoke all on function recovery.detach_steps(regclass, interval) from public;
