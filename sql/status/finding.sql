create type recovery.finding as (
    code     text,
    severity text,
    kind     text,
    subject  text,
    problem  text,
    remedy   text,
    fix      text[]
);

comment on type recovery.finding is 'One thing that recovery.examine() has found wrong, or worth to know.';
comment on column recovery.finding.code is 'Stable name of what is wrong; docs/reference/doctor.md lists them.';
comment on column recovery.finding.severity is
    'error: a promise does not hold; warning: it soon may not, or work waits; note: worth to know.';
comment on column recovery.finding.kind is
    'What the subject is: check, database, role, watch, table, server, session, consumer, fuse, process, setting or '
    'webhook.';
comment on column recovery.finding.subject is 'What it is about.';
comment on column recovery.finding.problem is 'What is wrong with it.';
comment on column recovery.finding.remedy is 'What to type, or to do.';
comment on column recovery.finding.fix is
    'Statements, each a transaction of its own, that repair it and lose nothing: recovery doctor --fix executes them. '
    'Null: a person decides.';
