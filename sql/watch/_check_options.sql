create or replace function recovery._check_options(p_table regclass, p_spec jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_close    jsonb := p_spec -> 'close';
    v_requeue  jsonb := nullif(p_spec -> 'requeue', 'null');
    v_attempts text := p_spec ->> 'attempts';
    v_grace    interval := p_spec ->> 'launch_grace';
    v_unowned  interval := p_spec ->> 'unowned';
    v_lease    interval := p_spec ->> 'alive_lease';
    v_backoff  interval := p_spec ->> 'backoff';
    v_cap      interval := p_spec ->> 'max_backoff';
    v_problem  text;
    v_hint     text;
begin
    select p.problem, p.hint into v_problem, v_hint
    from (values
        (btrim(coalesce(p_spec ->> 'open', '')) = '',
         format('no open expression was given for %s', p_table),
         'Such as: status = ''running''.'),
        (jsonb_typeof(v_close) is distinct from 'object' or v_close = '{}',
         format('close expressions of %s are %s', p_table, coalesce(nullif(v_close, 'null')::text, 'null')),
         'Give an object of column -> SQL expression, such as {"status": "''failed''"}.'),
        (coalesce(p_spec ->> 'events', '') not in ('all', 'closed'),
         format('events %s of %s is not known', coalesce(quote_ident(p_spec ->> 'events'), 'null'), p_table),
         'Allowed are all and closed.'),
        (v_unowned is not null and p_spec ->> 'started' is null,
         format('unowned rows of %s can only be closed by age', p_table),
         'Give p_started too.'),
        (v_grace is not null and p_spec ->> 'started' is null,
         format('a launch grace for %s needs to know when work started', p_table),
         'Give p_started too.'),
        (v_grace < interval '0' or v_unowned < interval '0',
         format('interval %s of %s is negative', least(v_grace, v_unowned), p_table),
         null),
        ((v_requeue is null) <> (v_attempts is null) or v_requeue = '{}' or jsonb_typeof(v_requeue) <> 'object',
         format('requeue of %s is %s with attempts column %s',
             p_table, coalesce(v_requeue::text, 'null'), coalesce(v_attempts, 'null')),
         'Give both: an object of column -> SQL expression that sets a row back, such as {"status": "''queued''"}, '
         'and the integer column that counts.'),
        (v_requeue is not null and coalesce((p_spec ->> 'max_attempts')::integer, 0) < 1,
         format('max attempts %s of %s is not allowed', coalesce(p_spec ->> 'max_attempts', 'null'), p_table),
         'Give 1 or more.'),
        (array_position(recovery._to_texts(p_spec -> 'free_reasons'), null) is not null,
         format('free reasons %s of %s are not allowed', p_spec ->> 'free_reasons', p_table),
         'Give reasons as recovery.event writes them.'),
        (p_spec ->> 'not_before' is not null and v_requeue is null,
         format('not_before of %s is for work that goes back to a queue', p_table),
         'Give p_requeue too.'),
        (p_spec ->> 'not_before' is not null
            and (v_backoff > interval '0' and v_cap >= v_backoff and v_cap <= interval '366 days') is not true,
         format('backoff %s up to %s of %s is not allowed', coalesce(v_backoff::text, 'null'),
             coalesce(v_cap::text, 'null'), p_table),
         'Give a positive interval, and a longest one of at most 366 days.'),
        (p_spec ->> 'alive' is not null
            and (v_lease >= interval '1 second' and v_lease <= interval '1 day') is not true,
         format('alive_lease %s of %s is not allowed', coalesce(v_lease::text, 'null'), p_table),
         'Give an interval from a second to a day.'),
        (p_spec ->> 'position' is null,
         format('position null of %s is not allowed', p_table),
         'Give an integer.'),
        (octet_length(p_spec ->> 'name') > 200 or btrim(coalesce(p_spec ->> 'name', '')) = '',
         format('watch name "%s" is not allowed', left(p_spec ->> 'name', 60)),
         'Give 1 to 200 bytes.'),
        (octet_length(p_spec ->> 'family') > 200,
         format('family name "%s..." is not allowed', left(p_spec ->> 'family', 60)),
         'Give 1 to 200 bytes.'),
        (p_spec ->> 'parent' is not null and p_spec ->> 'group' is null,
         format('%s has a parent expression but no group', p_table),
         'p_parent goes with p_group.')
    ) as p (wrong, problem, hint)
    where p.wrong limit 1;
    if found then
        perform recovery._fail('RC006', v_problem, v_hint);
    end if;
end
$$;

comment on function recovery._check_options(regclass, jsonb) is
    'Refuses the arguments of recovery.attach that cannot work, before anything is compiled: RC006.';

revoke all on function recovery._check_options(regclass, jsonb) from public;
