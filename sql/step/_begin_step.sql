create or replace function recovery._begin_step(p_lock_wait interval)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    if current_setting('server_version_num')::integer >= 170000 then
        perform set_config('transaction_timeout', '0', true);
    end if;
    return clock_timestamp() < recovery._call_deadline();
end
$$;

comment on function recovery._begin_step(interval) is
    'Begins a transaction of boot, sweep or shutdown: its lock waits are bounded, the caller''s transaction_timeout '
    'does not end the session in its middle. False: no time is left before statement_timeout.';

revoke all on function recovery._begin_step(interval) from public;
