create or replace function recovery._lock_table(p_table regclass, p_mode text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Whoever writes through a partitioned table locks it before its partitions. To drop a trigger or an index locks
    -- a partition first, and meets the writer half-way.
    execute format('lock table %s in %s mode', p_table, p_mode);
end
$$;

comment on function recovery._lock_table(regclass, text) is
    'Locks a table, a partitioned one before its partitions, in the mode that what follows needs.';

revoke all on function recovery._lock_table(regclass, text) from public;
