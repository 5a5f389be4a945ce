create or replace function recovery.compare_watch(
    p_table       regclass,
    p_options     jsonb,              -- option of recovery.attach -> what is wanted; what is missing has its default
    p_supervision jsonb default null  -- the same of recovery.supervise; null: nothing is wanted of it
)
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_wanted jsonb;
    v_spec   jsonb;
begin
    select w.* into v_watch from recovery.watch as w where w.relation = p_table;
    if not found then
        return null;
    end if;
    v_wanted := recovery._spec_defaults(p_options) || jsonb_build_object('cancel', 'row', 'name', (
            select n.nspname || '.' || c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table))
        || jsonb_strip_nulls(p_options - 'search_path') || jsonb_strip_nulls(coalesce(p_supervision, '{}'));
    v_spec := '{"cancel": "row"}' || jsonb_strip_nulls(coalesce(v_watch.supervised, '{}') - 'started')
        || jsonb_strip_nulls(v_watch.spec);
    return array(
        select k.option
        from (
            select jsonb_object_keys(v_wanted) union select jsonb_object_keys(v_spec)
        ) as k (option)
        where case
            -- One length has several spellings.
            when k.option in ('launch_grace', 'unowned', 'alive_lease', 'backoff', 'max_backoff') then
                (v_wanted ->> k.option)::interval is distinct from (v_spec ->> k.option)::interval
            else v_wanted -> k.option is distinct from v_spec -> k.option end
        union all
        select 'search_path' where p_options ->> 'search_path' <> v_watch.path
        order by 1);
end
$$;

comment on function recovery.compare_watch(regclass, jsonb, jsonb) is
    'What of a watch is not as it is wanted: names of options of recovery.attach and recovery.supervise, as given to '
    'them and not as compiled; none: it is as wanted; null: the table is not watched.';

revoke all on function recovery.compare_watch(regclass, jsonb, jsonb) from public;
