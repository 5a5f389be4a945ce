create or replace function recovery._check_definitions(p_table regclass)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_what text;
begin
    -- A type may have got another meaning since the expression was compiled; then its literal has run code, and
    -- this takes back all that came of it.
    select u.what into v_what
    from pg_depend as d
    cross join lateral recovery._untrusted_object(d.refclassid, d.refobjid,
        (recovery._runner_of(p_table)).privileged) as u (what)
    where u.what is not null
      and (d.classid = 'pg_class'::regclass and d.objid in (
              select i.indexrelid from pg_index as i join pg_class as c on c.oid = i.indexrelid
              where i.indrelid = p_table and c.relname ~ '^recovery_(open|started)_[0-9]+(_new)?$')
           or d.classid = 'pg_trigger'::regclass and d.objid in (
              select t.oid from pg_trigger as t where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_')
              and d.refclassid <> 'pg_proc'::regclass)
    limit 1;
    if v_what is not null then
        perform recovery._fail('RC006', format('the index or a trigger of %s uses %s', p_table, v_what),
            'Something that an expression uses was redefined while the table was attached.');
    end if;
end
$$;

comment on function recovery._check_definitions(regclass) is
    'Refuses an index or trigger of ours in which a literal has run code: RC006.';

revoke all on function recovery._check_definitions(regclass) from public;
