create or replace function recovery.touch(p_watch text, p_keys text[], p_scope text default 'row')
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit  recovery.unit := recovery._unit_of(p_watch, p_scope, null, 'touch');
    v_count bigint;
begin
    perform recovery._check_key(k.key, 'touch') from unnest(p_keys) as k (key);
    -- In key order: two processes that touch the same rows do not deadlock. At most one write a second.
    insert into recovery.touch as t (family, scope, watch, key, at)
    select v_unit.family, v_unit.scope, v_unit.watch, k.key, recovery._now()
    from (select distinct u.key from unnest(p_keys) as u (key)) as k order by k.key
    on conflict (family, scope, key, watch) do update set at = excluded.at
    where t.at is null or t.at < excluded.at - interval '1 second';
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

comment on function recovery.touch(text, text[], text) is
    'Says that rows (or groups) of a watch are moving, though they do not show it. Cheap enough for each second. '
    'Returns how many touches were written. RC008 not watched, RC010 bad scope.';

revoke all on function recovery.touch(text, text[], text) from public;
