create or replace function recovery._empty_slot(p_slot integer)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
/* Whoever writes is in another partition. But each reader holds all of them while it reads, and with many there is
   hardly a moment without one: so it waits for those that read now, and those that come meanwhile wait for it. */
begin
    execute format('lock table recovery.outbox_slot_%s in access exclusive mode', p_slot);
    execute format('truncate recovery.outbox_slot_%s', p_slot);
    return true;
exception when lock_not_available or deadlock_detected then
    return false;
end
$$;

comment on function recovery._empty_slot(integer) is
    'Empties a partition of the outbox that nobody writes any more; false if somebody has held it for 100 ms.';

revoke all on function recovery._empty_slot(integer) from public;
