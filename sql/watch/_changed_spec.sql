create or replace function recovery._changed_spec(p_table regclass, p_spec jsonb, p_changes jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Those that recovery.watch.spec has only where they were given.
    c_seldom constant text[] := array['search_path', 'owner', 'alive', 'alive_lease', 'free_reasons', 'not_before',
        'backoff', 'max_backoff'];
    v_option text;
    v_spec   jsonb;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' then
        perform recovery._fail('RC010', format('changes of %s are %s', p_table, coalesce(p_changes::text, 'null')),
            'Give an object of option -> value, such as {"topic": "job"}; null resets an option.');
    end if;
    select k.key into v_option from jsonb_object_keys(p_changes) as k (key)
    where not (p_spec ? k.key or k.key = any(c_seldom)) order by k.key limit 1;
    if found then
        perform recovery._fail('RC010', format('recovery.attach has no option "%s"', v_option),
            format('It has: %s.', (
                select string_agg(o.key, ', ' order by o.key) from (
                    select k.key from jsonb_object_keys(p_spec) as k (key)
                    union select * from unnest(c_seldom)) as o (key))));
    elsif p_changes -> 'search_path' = 'null' then
        perform recovery._fail('RC010', 'search_path null is not allowed', 'Give the one of the writers.');
    end if;
    v_spec := p_spec || (p_changes - 'search_path');
    v_spec := recovery._spec_defaults(v_spec) || v_spec || (
        select coalesce(jsonb_object_agg(d.key, d.value), '{}') from jsonb_each(recovery._spec_defaults(v_spec)) as d
        where v_spec ->> d.key is null);
    -- As recovery.attach writes them.
    return v_spec - (select array_agg(o.name) from unnest(c_seldom) as o (name) where v_spec ->> o.name is null
            or o.name = 'free_reasons' and nullif(v_spec -> 'requeue', 'null') is null
            or o.name = 'alive_lease' and v_spec ->> 'alive' is null
            or o.name in ('backoff', 'max_backoff') and v_spec ->> 'not_before' is null)
        || case when v_spec ->> 'name' is null then (
               select jsonb_build_object('name', n.nspname || '.' || c.relname)
               from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = p_table)
           else '{}' end
        || (select jsonb_object_agg(o.name, (v_spec ->> o.name)::interval)
            from unnest(array['launch_grace', 'unowned', 'alive_lease', 'backoff', 'max_backoff']) as o (name)
            where o.name in ('launch_grace', 'unowned') or v_spec ->> o.name is not null)
        || jsonb_build_object('max_attempts', case when nullif(v_spec -> 'requeue', 'null') is not null
            then (v_spec ->> 'max_attempts')::integer end);
end
$$;

comment on function recovery._changed_spec(regclass, jsonb, jsonb) is
    'A registration with some options changed, null for what recovery.attach does without them. '
    'RC010 no such option.';

revoke all on function recovery._changed_spec(regclass, jsonb, jsonb) from public;
