create or replace function recovery._changed_spec(p_table regclass, p_spec jsonb, p_changes jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_option text;
    v_spec   jsonb;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' then
        perform recovery._fail('RC010', format('changes of %s are %s', p_table, coalesce(p_changes::text, 'null')),
            'Give an object of option -> value, such as {"topic": "job"}; null resets an option.');
    end if;
    select k.key into v_option from jsonb_object_keys(p_changes) as k (key)
    where not (p_spec ? k.key or k.key = 'search_path') order by k.key limit 1;
    if found then
        perform recovery._fail('RC010', format('recovery.attach has no option "%s"', v_option),
            format('It has: %s.', (
                select string_agg(o.key, ', ' order by o.key) from (
                    select k.key from jsonb_object_keys(p_spec) as k (key) union all select 'search_path') as o)));
    elsif p_changes -> 'search_path' = 'null' then
        perform recovery._fail('RC010', 'search_path null is not allowed', 'Give the one of the writers.');
    end if;
    v_spec := p_spec || (p_changes - 'search_path');
    -- As recovery.attach has them where nothing is given, and as it writes them.
    return v_spec
        || case when v_spec ->> 'name' is null then (
               select jsonb_build_object('name', n.nspname || '.' || c.relname)
               from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)
           else '{}' end
        || jsonb_build_object(
            'position', coalesce((v_spec ->> 'position')::integer, 100),
            'events', coalesce(v_spec ->> 'events', 'all'),
            'launch_grace', (v_spec ->> 'launch_grace')::interval,
            'unowned', (v_spec ->> 'unowned')::interval,
            'max_attempts', case when nullif(v_spec -> 'requeue', 'null') is not null
                then coalesce((v_spec ->> 'max_attempts')::integer, 3) end);
end
$$;

comment on function recovery._changed_spec(regclass, jsonb, jsonb) is
    'A registration with some options changed, null for what recovery.attach does without them. '
    'RC010 no such option.';

revoke all on function recovery._changed_spec(regclass, jsonb, jsonb) from public;
