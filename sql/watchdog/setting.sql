create table recovery.setting (
    name       text        not null,
    watch      text        not null default '',
    kind       text        not null default '',
    group_key  text        not null default '',
    value      text        not null,
    changed_at timestamptz not null default clock_timestamp(),
    changed_by text        not null default session_user,
    constraint setting_pkey primary key (name, watch, kind, group_key),
    -- Whoever writes past recovery.configure: one that is no interval would switch off the watchdog.
    constraint setting_value_check check (value in ('off', 'true', 'false') or value::interval is not null)
);

comment on table recovery.setting is
    'Settings that differ from the built-in defaults: for everything, or only for a watch, a kind of '
    'work, a group. Written by recovery.configure, read by recovery.get_setting; every sweep reads them again.';
comment on column recovery.setting.name is 'Which setting, as recovery.setting_status lists them.';
comment on column recovery.setting.watch is 'Only for this watch; empty: for all.';
comment on column recovery.setting.kind is 'Only for this kind of work; empty: for all.';
comment on column recovery.setting.group_key is 'Only for this group (session); empty: for all.';
comment on column recovery.setting.value is
    'Normalised: an interval as PostgreSQL prints it, off for no limit, true or false.';
comment on column recovery.setting.changed_at is 'When it got this value.';
comment on column recovery.setting.changed_by is 'Role that gave it this value.';
