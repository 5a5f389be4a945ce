create or replace function recovery._refuse_open_row(p_watch text)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._fail('RC006', format('the close expressions of watch "%s" leave a row open', p_watch));
end
$$;

comment on function recovery._refuse_open_row(text) is
    'Called by a closing for a row that it leaves open: raises RC006.';

revoke all on function recovery._refuse_open_row(text) from public;
