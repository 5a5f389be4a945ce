create or replace view recovery.setting_status as
select s.name, s.watch, s.kind, s.group_key, s.value, 'set' as source, s.changed_at, s.changed_by
from recovery.setting as s
union all
select d.name, '', '', '', d.value, 'default', null, null
from (values
    ('tool_timeout', 'off'),
    ('task_timeout', 'off'),
    ('idle_timeout', 'off'),
    ('wall_timeout', 'off'),
    ('propagation_grace', '00:00:30'),
    ('cancel_grace', '00:00:10'),
    ('idle_roots', 'false'),
    ('unowned_expected', 'false'),
    ('event_retention', '7 days'),
    ('history_retention', '30 days'),
    ('drop_unread', 'false')
) as d (name, value)
where not exists (select from recovery.setting as s where (s.name, s.watch, s.kind, s.group_key) = (d.name, '', '', ''))
order by name, watch, kind, group_key;

comment on view recovery.setting_status is
    'Every setting: what was set, and the built-in default where nothing is set for everything.';
comment on column recovery.setting_status.name is 'Which setting.';
comment on column recovery.setting_status.watch is 'Only for this watch; empty: for all.';
comment on column recovery.setting_status.kind is 'Only for this kind of work; empty: for all.';
comment on column recovery.setting_status.group_key is 'Only for this group (session); empty: for all.';
comment on column recovery.setting_status.value is 'Its value; off: no limit.';
comment on column recovery.setting_status.source is 'set: by recovery.configure; default: built in.';
comment on column recovery.setting_status.changed_at is 'When it was set; null for a default.';
comment on column recovery.setting_status.changed_by is 'Role that set it; null for a default.';
