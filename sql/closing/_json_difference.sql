create or replace function recovery._json_difference(p_old jsonb, p_new jsonb, out old jsonb, out new jsonb)
returns record
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key  text;
    v_new  jsonb;
    v_part record;
begin
    if jsonb_typeof(p_old) is distinct from 'object' or jsonb_typeof(p_new) is distinct from 'object' then
        old := p_old;
        new := p_new;
        return;
    end if;
    old := '{}';
    new := '{}';
    for v_key, v_new in select k.key, k.value from jsonb_each(p_new) as k loop
        if not p_old ? v_key then
            new := new || jsonb_build_object(v_key, v_new);
        elsif p_old -> v_key <> v_new then
            v_part := recovery._json_difference(p_old -> v_key, v_new);
            old := old || jsonb_build_object(v_key, v_part.old);
            new := new || jsonb_build_object(v_key, v_part.new);
        end if;
    end loop;
    for v_key, v_new in select k.key, k.value from jsonb_each(p_old) as k where not p_new ? k.key loop
        old := old || jsonb_build_object(v_key, v_new);
    end loop;
end
$$;

comment on function recovery._json_difference(jsonb, jsonb) is
    'What differs between two objects, as two sparse trees. A key in new alone was added, in old alone was removed.';

revoke all on function recovery._json_difference(jsonb, jsonb) from public;
