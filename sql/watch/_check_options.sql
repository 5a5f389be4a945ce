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
begin
    if btrim(coalesce(p_spec ->> 'open', '')) = '' then
        perform recovery._fail('RC006', format('no open expression was given for %s', p_table), 'Such as: status = ''running''.');
    elsif jsonb_typeof(v_close) is distinct from 'object' or v_close = '{}' then
        perform recovery._fail('RC006', format('close expressions of %s are %s', p_table, coalesce(nullif(v_close, 'null')::text, 'null')),
            'Give an object of column -> SQL expression, such as {"status": "''failed''"}.');
    elsif coalesce(p_spec ->> 'events', '') not in ('all', 'closed') then
        perform recovery._fail('RC006', format('events %s of %s is not known', coalesce(quote_ident(p_spec ->> 'events'), 'null'), p_table), 'Allowed are all and closed.');
    elsif p_spec ->> 'unowned' is not null and p_spec ->> 'started' is null then
        perform recovery._fail('RC006', format('unowned rows of %s can only be closed by age', p_table), 'Give p_started too.');
    elsif p_spec ->> 'launch_grace' is not null and p_spec ->> 'started' is null then
        perform recovery._fail('RC006', format('a launch grace for %s needs to know when work started', p_table), 'Give p_started too.');
    elsif (p_spec ->> 'launch_grace')::interval < interval '0' or (p_spec ->> 'unowned')::interval < interval '0' then
        perform recovery._fail('RC006', format('interval %s of %s is negative',
            least((p_spec ->> 'launch_grace')::interval, (p_spec ->> 'unowned')::interval), p_table));
    elsif (v_requeue is null) <> (v_attempts is null) or v_requeue = '{}' or jsonb_typeof(v_requeue) <> 'object' then
        perform recovery._fail('RC006', format('requeue of %s is %s with attempts column %s', p_table, coalesce(v_requeue::text, 'null'), coalesce(v_attempts, 'null')),
            'Give both: an object of column -> SQL expression that sets a row back, such as {"status": "''queued''"}, and the integer column that counts.');
    elsif v_requeue is not null and coalesce((p_spec ->> 'max_attempts')::integer, 0) < 1 then
        perform recovery._fail('RC006', format('max attempts %s of %s is not allowed', coalesce(p_spec ->> 'max_attempts', 'null'), p_table), 'Give 1 or more.');
    elsif p_spec ->> 'position' is null then
        perform recovery._fail('RC006', format('position null of %s is not allowed', p_table), 'Give an integer.');
    elsif octet_length(p_spec ->> 'name') > 200 or btrim(coalesce(p_spec ->> 'name', '')) = '' then
        perform recovery._fail('RC006', format('watch name "%s" is not allowed', left(p_spec ->> 'name', 60)), 'Give 1 to 200 bytes.');
    elsif octet_length(p_spec ->> 'family') > 200 then
        perform recovery._fail('RC006', format('family name "%s..." is not allowed', left(p_spec ->> 'family', 60)), 'Give 1 to 200 bytes.');
    elsif p_spec ->> 'parent' is not null and p_spec ->> 'group' is null then
        perform recovery._fail('RC006', format('%s has a parent expression but no group', p_table), 'p_parent goes with p_group.');
    end if;
end
$$;

comment on function recovery._check_options(regclass, jsonb) is 'Refuses the arguments of recovery.attach that cannot work, before anything is compiled: RC006.';

revoke all on function recovery._check_options(regclass, jsonb) from public;
