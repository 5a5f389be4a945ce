create or replace function recovery._carry_over()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table regclass;
begin
    if old.family <> new.family and exists (select from recovery.watch as w where w.family = old.family) then
        perform recovery._fail('RC006',
            format('"%s" cannot leave family "%s": it has other watches', new.name, old.family),
            'What guards or times out a group of the family belongs to all of them. Detach it, and attach it anew.');
    end if;
    if old.name <> new.name then
        foreach v_table in array array[
            'recovery.failure', 'recovery.broken_watch', 'recovery.blind_watch',
            'recovery.fuse', 'recovery.touch', 'recovery.cancellation',
            'recovery.process', 'recovery.setting']::regclass[]
        loop
            execute format('update %s set watch = $1 where watch = $2', v_table) using new.name, old.name;
        end loop;
    end if;
    if old.family <> new.family then
        foreach v_table in array array[
            'recovery.fuse', 'recovery.touch', 'recovery.cancellation', 'recovery.process']::regclass[]
        loop
            execute format('update %s set family = $1 where family = $2', v_table) using new.family, old.family;
        end loop;
    end if;
    if old.outbox <> new.outbox and not exists (select from recovery.watch as w where w.outbox = old.outbox) then
        perform recovery._drop_outbox(old.outbox);
    end if;
    return null;
end
$$;

comment on function recovery._carry_over() is
    'Trigger function of recovery.watch: fuses, touches, requests, processes, failures and settings follow a watch '
    'whose name or family changes. Events keep the name under which they were written. RC006 it shares its family.';

revoke all on function recovery._carry_over() from public;
