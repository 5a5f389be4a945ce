create or replace function recovery._forget_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
begin
    foreach v_name in array
        array['before_insert', 'before_update', 'before_delete', 'insert', 'update', 'delete', 'truncate']
    loop
        execute format('drop function if exists recovery.watch_%s_%s()', old.id, v_name);
    end loop;
    if exists (select from recovery.watch as w where w.family = old.family) then
        perform recovery._create_outbox(old.outbox, old.family);
    else
        perform recovery._drop_outbox(old.outbox);
        delete from recovery.fuse as f where f.family = old.family;
        delete from recovery.touch as t where t.family = old.family;
        delete from recovery.cancellation as c where c.family = old.family;
    end if;
    delete from recovery.failure as f where f.watch = old.name;
    delete from recovery.partition as p where p.watch = old.id;
    delete from recovery.lifeless as l where l.watch = old.name;
    delete from recovery.look as k where k.watch = old.name;
    delete from recovery.broken_watch as b where b.watch = old.name;
    delete from recovery.blind_watch as b where b.watch = old.name;
    delete from recovery.cancellation as c where c.scope = 'row' and c.watch = old.name;
    delete from recovery.touch as t where t.scope = 'row' and t.watch = old.name;
    return null;
end
$$;

comment on function recovery._forget_watch() is
    'Trigger function of recovery.watch: removes what was made for a watch. Fails while the table still has its '
    'triggers. Events stay.';

revoke all on function recovery._forget_watch() from public;
