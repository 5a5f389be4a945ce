create or replace function recovery._refuse_late_result(p_old bigint, p_new bigint, p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if recovery._writer_epoch() = -p_old and p_new is distinct from -p_old then
        perform recovery._fail('RC013',
            format('the work in %s was taken from epoch %s: it was closed meanwhile', p_table,
            recovery._writer_epoch()),
            'recovery.event says why. To take it up again, write server_epoch too.');
    end if;
end
$$;

comment on function recovery._refuse_late_result(bigint, bigint, regclass) is
    'Refuses the late result of a live server whose row a timeout or an operator has closed under it (the sign of '
    'server_epoch); p_new: the epoch that the write opens it under, null if it does not: RC013.';

revoke all on function recovery._refuse_late_result(bigint, bigint, regclass) from public;
