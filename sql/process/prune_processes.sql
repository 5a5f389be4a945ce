create or replace function recovery.prune_processes(p_age interval default '7 days')
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    if p_age is null or p_age < interval '1 hour' then
        perform recovery._fail('RC010', format('age %s is not allowed', coalesce(p_age::text, 'null')),
            'Give an interval of at least 1 hour.');
    end if;
    -- Long ended, or forgotten by recovery.server altogether; what an heir or an adopter goes on with stays.
    delete from recovery.process as p
    where p.registered < recovery._now() - p_age
      and not exists (select from recovery.server as s where s.epoch = p.server_epoch
          and (s.ended is null or s.ended >= recovery._now() - p_age))
      and not recovery._is_process_in_use(p);
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

comment on function recovery.prune_processes(interval) is
    'Forgets processes of servers that ended longer ago than that: their host (a container) did not come back to '
    'look. Returns how many. RC010 for less than 1 hour.';

revoke all on function recovery.prune_processes(interval) from public;
