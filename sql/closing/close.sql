create or replace function recovery.close(
    p_key    text,
    p_reason text    default 'operator',
    p_watch  text    default null,
    p_scope  text    default null,
    p_dry    boolean default false
)
returns table (watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch;
    v_unit   recovery.watch;
    v_scope  text;
    v_family text;
    v_rows   text[] := '{}';
    v_groups text[] := '{}';
    v_found  text[];
    v_epoch  bigint;
    v_open   boolean;
    v_by     text := 'operator:' || session_user;
    v_left   text;
    v_why    text;
    v_row    record;
    v_task   recovery.task;
    v_session jsonb;
begin
    if not p_dry then
        perform recovery._check_fresh();
    end if;
    if p_scope is not null and p_scope not in ('row', 'group') then
        perform recovery._fail('RC010', format('scope %L is not known', p_scope), 'Allowed are row and group.');
    elsif p_reason is null or btrim(p_reason) = '' or octet_length(p_reason) > 200 then
        perform recovery._fail('RC010',
            format('reason %s is not allowed', coalesce(quote_literal(left(p_reason, 60)), 'null')),
            'Give 1 to 200 bytes.');
    elsif p_watch is not null and not exists (select from recovery._attached_watches() as w where w.name = p_watch) then
        perform recovery._fail('RC008', format('nothing is watched as %L', p_watch),
            'See recovery.watch for the names.');
    end if;
    v_task.key := p_key;
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where p_scope is distinct from 'group' and (p_watch is null or w.name = p_watch) order by w.family, w.position,
            w.name
    loop
        begin
            select o.* into v_open from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(exists (select from {relation} as r where ({open}) and {key} = ($1).key))',
                jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open,
                                   'key', recovery._key_text(v_watch.key_columns, 'r'))), v_task) as o;
        exception when others then
            raise warning 'recovery: watch "%" is passed over: %', v_watch.name, sqlerrm;
            v_open := false;
        end;
        if v_open then
            v_rows := v_rows || v_watch.name;
        end if;
    end loop;
    for v_family in
        select distinct w.family from recovery._attached_watches() as w
        where p_scope is distinct from 'row' and w.group_by is not null and (p_watch is null or w.name = p_watch)
    loop
        begin
            if recovery._is_group_open(v_family, recovery._group_tree(v_family, array[p_key], false)) then
                v_groups := v_groups || v_family;
            end if;
        exception
            when invalid_text_representation then
                null;  -- not a group of this type
            when others then
                raise warning 'recovery: family "%" is passed over: %', v_family, sqlerrm;
        end;
    end loop;
    -- A session that is open itself is a row and a group: the group includes it.
    select array_agg(f.name order by f.n) into v_found from (
        select 'row of ' || w.name as name, w.name as n from recovery._attached_watches() as w
            where w.name = any(v_rows) and w.family <> all(v_groups)
        union all select 'group of ' || g.name, g.name from unnest(v_groups) as g (name)) as f;
    if cardinality(v_found) > 1 then
        perform recovery._fail('RC010', format('%L could be: %s', p_key, array_to_string(v_found, ', ')),
            'Say which, by watch and scope (row or group).');
    elsif v_found is null then
        perform recovery._fail('RC010',
            format('nothing open has the key or group %s', coalesce(quote_literal(p_key), 'null')),
            'Keys and groups are written as recovery.event shows them.');
    end if;
    v_scope := case v_groups when '{}' then 'row' else 'group' end;
    select w.* into v_unit from recovery._attached_watches() as w
    where case v_scope when 'group' then w.family = any(v_groups) else w.name = any(v_rows) end
    order by w.parent is null, w.position, w.name limit 1;
    for v_row in select o.* from recovery._unit_rows(v_unit.name, v_scope, p_key) as o loop
        watch := v_row.watch;
        key := v_row.key;
        group_key := v_row.group_key;
        server_epoch := v_row.server_epoch;
        return next;
    end loop;
    if p_dry then
        return;
    end if;
    -- Live owners are told to stop, and are not waited for.
    for v_epoch in select distinct o.server_epoch from recovery._unit_rows(v_unit.name, v_scope, p_key) as o
        join recovery.server as s on s.epoch = o.server_epoch where s.ended is null
    loop
        perform recovery._send_cancel(v_epoch, v_unit.name, v_scope, p_key, p_reason, v_by,
            jsonb_build_object('watch', v_unit.name, 'closed', true));
    end loop;
    delete from recovery.fuse as f where f.family = v_unit.family and f.key = p_key
        and f.scope = v_scope and (v_scope = 'group' or f.watch = v_unit.name);
    v_session := recovery._session_settings();
    perform recovery._close_unit_tree(v_unit.name, v_scope, p_key, p_reason, v_by, interval '2 seconds', true);
    perform recovery._restore_settings(v_session);
    select string_agg(format('%s of %s', o.key, o.watch), ', ') into v_left
        from recovery._unit_rows(v_unit.name, v_scope, p_key) as o;
    if v_left is not null then
        select f.message into v_why from recovery.failure as f
            join recovery._unit_rows(v_unit.name, v_scope, p_key) as o on f.watch = o.watch and f.key = o.key limit 1;
        perform recovery._fail('55P03',
            format('nothing was closed: %s could not be (%s)', v_left,
            coalesce(v_why, 'another transaction holds it')));
    end if;
end
$$;

comment on function recovery.close(text, text, text, text, boolean) is
    'The escape hatch: closes one open row or group (session) with its descendants, whoever owns it and whatever '
    'guards it; live owners are told by an event of kind cancel. Returns the rows. With p_dry nothing changes. RC010 '
    'nothing or several things are called so, RC008 not watched, 55P03 somebody holds one of the rows (then nothing '
    'is closed).';

revoke all on function recovery.close(text, text, text, text, boolean) from public;
