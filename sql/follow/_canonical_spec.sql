create or replace function recovery._canonical_spec(p_watch recovery.watch, p_sets jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select p_watch.spec || p_sets || jsonb_strip_nulls(jsonb_build_object(
        'open', p_watch.open,
        'group', p_watch.group_by,
        'parent', p_watch.parent,
        'only', p_watch.only_if,
        'owner', p_watch.owner,
        'alive', p_watch.alive,
        'order', substring(p_watch.order_by from '^ROW\((.*)\)$'),
        'started', case when p_watch.supervised ->> 'started' is null then p_watch.started end,
        'image', case when p_watch.spec ->> 'image' is not null then p_watch.image end)
    ) || jsonb_build_object('supervised', p_watch.supervised || jsonb_strip_nulls(jsonb_build_object(
        'kind', p_watch.kind,
        'activity', p_watch.activity,
        'timeout', p_watch.timeout,
        'hold', p_watch.hold,
        'child', p_watch.child,
        'started', case when p_watch.supervised ->> 'started' is not null then p_watch.started end)))
$$;

comment on function recovery._canonical_spec(recovery.watch, jsonb) is
    'Step of recovery._compile_watch: the options of a watch with each expression as PostgreSQL prints it, p_sets '
    'those of close and requeue. Two watches that mean the same have the same.';

revoke all on function recovery._canonical_spec(recovery.watch, jsonb) from public;
