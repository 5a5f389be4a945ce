create or replace view recovery.problem as
select 'fuse'::text as kind, f.id::text as name, p.problem
from recovery.fuse as f cross join lateral (select recovery.problem_of(f.pid, f.process_start, f.expires) as problem) as p
where p.problem is not null
union all
select 'server', format('%s (epoch %s)', s.name, s.epoch), p.problem
from recovery.server as s cross join lateral (select recovery.problem_of(s.pid, s.process_start) as problem) as p
where s.ended is null and p.problem is not null
union all
select 'process', c.id::text, p.problem
from recovery.process as c cross join lateral (select recovery.problem_of(c.pid, c.process_start) as problem) as p
where p.problem is not null
union all
select 'watch', b.watch, b.message from recovery.broken as b
union all
select 'watch', w.name, format('its table lacks %s: call recovery.attach again', string_agg(d.name, ', ' order by d.name))
from recovery.attached() as w cross join lateral recovery.definitions_of(w) as d
where not exists (select from recovery.broken as b where b.watch = w.name)
group by w.name
union all
select 'watch', w.name, format('trigger %s of its table is disabled', t.tgname)
from recovery.attached() as w join pg_catalog.pg_trigger as t on t.tgrelid = w.relation
where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgenabled in ('D', 'R');

comment on view recovery.problem is
    'What every sweep passes over, shown by status: impossible processes and fuses (they are refused where they enter; a fuse among them guards nothing), and watches whose table, runner or expressions fail; and watches without their triggers, whose writes are neither fenced nor told.';
comment on column recovery.problem.kind is 'fuse, server, process or watch.';
comment on column recovery.problem.name is 'Its number, or name and epoch.';
comment on column recovery.problem.problem is 'What is wrong with it.';
