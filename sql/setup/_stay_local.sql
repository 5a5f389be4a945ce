create or replace function recovery._stay_local()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Only what a worker of a subscription writes: a restore may well set session_replication_role, too.
    if exists (select from pg_stat_get_subscription(null) as s where s.pid = pg_backend_pid()) then
        return null;
    elsif tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;

comment on function recovery._stay_local() is
    'Trigger function of all our own tables, fires for replicated rows only: a publication FOR ALL TABLES brings the '
    'publisher''s servers, fuses and watches, which mean nothing here (its locks, processes and oids are elsewhere), '
    'and drops them.';

revoke all on function recovery._stay_local() from public;
