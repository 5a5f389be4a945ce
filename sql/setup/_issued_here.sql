create or replace function recovery._issued_here(p_epoch bigint)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from recovery.server as s
        where s.epoch = abs(p_epoch) and s.epoch % 1000 = recovery._database_number()
            and s.reason is distinct from 'epoch_lost')
$$;

comment on function recovery._issued_here(bigint) is
    'Whether a server of this database booted with the epoch. One that was booked as lost, or came with a copy of '
    'another database, is not of here.';

revoke all on function recovery._issued_here(bigint) from public;
