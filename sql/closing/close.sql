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
    v_unit    recovery.unit;
    v_epoch   bigint;
    v_by      text := 'operator:' || session_user;
    v_left    text;
    v_why     text;
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
    v_unit := recovery._find_unit(p_key, p_watch, p_scope);
    return query select o.* from recovery._unit_rows(v_unit) as o;
    if p_dry then
        return;
    end if;
    -- Live owners are told to stop, and are not waited for.
    for v_epoch in
        select distinct o.server_epoch from recovery._unit_rows(v_unit) as o
        join recovery.server as s on s.epoch = o.server_epoch where s.ended is null
    loop
        perform recovery._send_cancel(v_epoch, v_unit, p_reason, v_by, '{"closed": true}');
    end loop;
    delete from recovery.fuse as f
    where f.family = v_unit.family and f.scope = v_unit.scope and f.key = v_unit.key
      and (f.scope = 'group' or f.watch = v_unit.watch);
    v_session := recovery._session_settings();
    perform recovery._close_unit_tree(v_unit, p_reason, v_by, interval '2 seconds', true);
    perform recovery._restore_settings(v_session);
    select string_agg(format('%s of %s', o.key, o.watch), ', ') into v_left from recovery._unit_rows(v_unit) as o;
    if v_left is not null then
        select f.message into v_why
        from recovery.failure as f join recovery._unit_rows(v_unit) as o on f.watch = o.watch and f.key = o.key limit 1;
        perform recovery._fail('55P03', format('nothing was closed: %s could not be (%s)',
            v_left, coalesce(v_why, 'another transaction holds it')));
    end if;
end
$$;

comment on function recovery.close(text, text, text, text, boolean) is
    'The escape hatch: closes one open row or group (session) with its descendants, whoever owns it and whatever '
    'guards it; live owners are told by an event of kind cancel. Returns the rows. With p_dry nothing changes. '
    'RC010 nothing or several things are called so, RC008 not watched, 55P03 somebody holds one of the rows '
    '(then nothing is closed).';

revoke all on function recovery.close(text, text, text, text, boolean) from public;
