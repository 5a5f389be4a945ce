create or replace function recovery._differing_options(p_watch text, p_options jsonb, p_supervision jsonb)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* What is not given is compared with the default of the parameter of recovery.attach or recovery.supervise. */
declare
    v_watch   recovery.watch;
    v_option  record;
    v_default jsonb;
    v_differ  text[] := '{}';
begin
    select w.* into v_watch from recovery.watch as w where w.name = p_watch;
    for v_option in
        select f.called || k.name as called, k.name, f.there -> k.name as there, f.said -> k.name as said,
            d.text as preset
        from (values
            ('', 'recovery.attach', v_watch.spec, p_options - 'search_path'),
            ('supervise ', 'recovery.supervise', coalesce(v_watch.supervised, '{}'),
                coalesce(p_supervision, '{}'))
        ) as f (called, routine, there, said)
        cross join lateral (
            select jsonb_object_keys(f.there) as name union select jsonb_object_keys(f.said)) as k
        left join lateral (
            select pg_get_function_arg_default(p.oid, a.n::integer) as text
            from pg_proc as p cross join unnest(p.proargnames) with ordinality as a (name, n)
            where p.oid = f.routine::regproc and a.name = 'p_' || k.name) as d on true
        order by 1
    loop
        if nullif(v_option.said, 'null') is null and nullif(v_option.there, 'null') is null then
            continue;
        elsif v_option.name = 'name' and nullif(v_option.said, 'null') is null then
            select to_jsonb(concat(n.nspname, '.', c.relname)) into v_default
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = v_watch.relation;
            continue when v_option.there = v_default;
        elsif nullif(v_option.said, 'null') is null then
            execute format('select to_jsonb(%s)', coalesce(v_option.preset, 'null::text')) into v_default;
            continue when nullif(v_option.there, 'null') is not distinct from v_default;
        elsif nullif(v_option.there, 'null') is null and v_option.preset is not null then
            -- max_attempts counts with requeue only.
            execute format('select to_jsonb(%s)', v_option.preset) into v_default;
            continue when v_option.said = v_default;
        elsif v_option.name in ('unowned', 'launch_grace') then
            continue when (v_option.there #>> '{}')::interval = (v_option.said #>> '{}')::interval;
        end if;
        if v_option.there is distinct from v_option.said then
            v_differ := v_differ || v_option.called;
        end if;
    end loop;
    if (v_watch.supervised is null) <> (p_supervision is null) then
        v_differ := array(select u from unnest(v_differ) as u where u not like 'supervise %') || 'supervise'::text;
    end if;
    return v_differ;
end
$$;

comment on function recovery._differing_options(text, jsonb, jsonb) is
    'Names of the options in which a declaration (arguments of recovery.attach and recovery.supervise, without p_) '
    'differs from what is attached.';

revoke all on function recovery._differing_options(text, jsonb, jsonb) from public;
