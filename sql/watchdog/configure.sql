create or replace function recovery.configure(
    p_name  text,
    p_value text,
    p_watch text default null,
    p_kind  text default null,
    p_group text default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value text := recovery.check_setting(p_name, p_value);
    v_watch text := coalesce(p_watch, '');
    v_kind  text := coalesce(p_kind, '');
    v_group text := coalesce(p_group, '');
begin
    if v_value is null then
        -- Also for what is no longer watched: its settings must not stay for ever.
        delete from recovery.setting as s
            where (s.name, s.watch, s.kind, s.group_key) = (p_name, v_watch, v_kind, v_group);
        return null;
    elsif p_name in ('event_retention', 'history_retention', 'drop_unread')
        and (v_watch, v_kind, v_group) <> ('', '', '')
    then
        perform recovery._fail('RC010', format('setting %s is for everything, not for a watch, kind or group', p_name),
            'Set it without them.');
    elsif v_watch <> '' and not exists (select from recovery._attached_watches() as w where w.name = v_watch) then
        perform recovery._fail('RC008', format('nothing is watched as %s', quote_literal(v_watch)),
            'See recovery.watch for the names.');
    elsif octet_length(v_kind) + octet_length(v_group) > 2000 then
        perform recovery._fail('RC010', format('kind and group of setting %s are too long', p_name),
            'Together they may have 2000 bytes.');
    end if;
    -- Many servers may boot with the same settings: the row tells who changed it, not who agreed.
    insert into recovery.setting as s (name, watch, kind, group_key, value)
    values (p_name, v_watch, v_kind, v_group, v_value)
    on conflict (name, watch, kind, group_key) do update
    set value = excluded.value, changed_at = excluded.changed_at, changed_by = excluded.changed_by
    where s.value <> excluded.value;
    return v_value;
end
$$;

comment on function recovery.configure(text, text, text, text, text) is
    'Sets a setting of the watchdog for everything, a watch, a kind of work or a group, and returns it as it is '
    'stored; null removes it, so that the next wider one counts. RC008 not watched, RC010 bad name or value.';

revoke all on function recovery.configure(text, text, text, text, text) from public;
