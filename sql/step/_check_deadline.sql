create or replace function recovery._check_deadline()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if clock_timestamp() > recovery._call_deadline() then
        perform recovery._fail('57014',
            format('statement_timeout of %s is over: nothing was changed', current_setting('statement_timeout')),
            'Execute set statement_timeout = 0; before the call, in a statement of its own.');
    end if;
end
$$;

comment on function recovery._check_deadline() is
    'Takes back the first transaction of a boot that took too long: 57014.';

revoke all on function recovery._check_deadline() from public;
