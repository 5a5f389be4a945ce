create or replace function recovery._comment_triggers(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_trigger name;
begin
    for v_trigger in
        select t.tgname from pg_trigger as t
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_'
          and obj_description(t.oid, 'pg_trigger') is null
    loop
        execute format('comment on trigger %I on %s is %L', v_trigger, p_table,
            'pg-recovery: owner, fence and events of work in flight; '
            'made by recovery.attach, removed by recovery.detach.');
    end loop;
end
$$;

comment on function recovery._comment_triggers(regclass) is 'Says on our triggers of a table what they are.';

revoke all on function recovery._comment_triggers(regclass) from public;
