create or replace function recovery._check_call(p_batch integer, p_lock_wait interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_batch is null or p_batch not between 1 and 100000 then
        perform recovery._fail('RC010', format('batch %s is not allowed', coalesce(p_batch::text, 'null')),
            'Give a number of rows from 1 to 100000.');
    end if;
    if p_lock_wait is null or p_lock_wait < interval '1 millisecond' or p_lock_wait > interval '1 hour' then
        perform recovery._fail('RC010', format('lock wait %s is not allowed', coalesce(p_lock_wait::text, 'null')),
            'Give an interval from 1 millisecond to 1 hour.');
    end if;
    perform recovery._check_session();
    -- What is refused here has changed nothing.
    if recovery._call_deadline() < statement_timestamp() + interval '1 second' then
        perform recovery._fail('RC010',
            format('statement_timeout of %s is too short: it would end this call half done',
            current_setting('statement_timeout')),
            'Give it 2 seconds or more; best execute set statement_timeout = 0; before the call, in a statement of '
            'its own.');
    end if;
end
$$;

comment on function recovery._check_call(integer, interval) is
    'Refuses arguments with which boot, sweep and shutdown cannot work: RC010.';

revoke all on function recovery._check_call(integer, interval) from public;
