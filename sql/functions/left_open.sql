create or replace function recovery.left_open(p_watch text)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.fail('RC006', format('the close expressions of watch "%s" leave a row open', p_watch));
end
$$;

comment on function recovery.left_open(text) is 'Called by a closing for a row that it leaves open: raises RC006.';

revoke all on function recovery.left_open(text) from public;
