create or replace function recovery.get_setting(
    p_name  text,
    p_watch text default null,
    p_kind  text default null,
    p_group text default null
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.check_setting(p_name, null);
    return (
        select nullif(s.value, 'off') from recovery.setting_status as s
        where s.name = p_name
          and s.watch in ('', p_watch) and s.kind in ('', p_kind) and s.group_key in ('', p_group)
        order by s.group_key <> '' desc, s.kind <> '' desc, s.watch <> '' desc
        limit 1
    );
end
$$;

comment on function recovery.get_setting(text, text, text, text) is
    'The value of a setting that applies: the most specific one, group before kind before watch before all, else the '
    'built-in default; null if it is off. RC010: no such setting.';

revoke all on function recovery.get_setting(text, text, text, text) from public;
