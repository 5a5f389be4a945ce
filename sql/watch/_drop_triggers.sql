create or replace function recovery._drop_triggers(p_table regclass)
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
        where t.tgrelid = p_table and t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgparentid = 0
    loop
        execute format('drop trigger %I on %s', v_trigger, p_table);
    end loop;
end
$$;

comment on function recovery._drop_triggers(regclass) is 'Removes our triggers from a table.';

revoke all on function recovery._drop_triggers(regclass) from public;
