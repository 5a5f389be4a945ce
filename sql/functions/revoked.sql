create or replace function recovery.revoked(p_epoch bigint, p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.fail('RC013', format('the work in %s was taken from epoch %s: it was closed meanwhile', p_table, p_epoch),
        'recovery.event says why. To take it up again, write server_epoch too.');
end
$$;

comment on function recovery.revoked(bigint, regclass) is 'Refuses the late result of a live server whose row a timeout or an operator has closed: RC013.';

revoke all on function recovery.revoked(bigint, regclass) from public;
