create or replace function recovery._check_fresh()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A closing fires deferred triggers, so that none runs at commit. Those that our caller has queued before would be
    -- fired too early, and up to PostgreSQL 17 as the runner, whoever owns them.
    if pg_current_xact_id_if_assigned() is not null then
        perform recovery._fail('RC010',
            'rows are closed in a transaction of their own, and this one has written already', 'Commit first.');
    end if;
end
$$;

comment on function recovery._check_fresh() is 'Refuses to close rows in a transaction that has written before: RC010.';

revoke all on function recovery._check_fresh() from public;
