create or replace function recovery._session_objects()
returns table (what text, removal text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query select format('cursor %I of %s', c.name, c.creation_time), null::text from pg_cursors as c
        where c.is_holdable;
    if pg_my_temp_schema() <> 0 then
        return query
            select format('%s %s', c.relname, c.oid), format('drop %s if exists pg_temp.%I cascade',
                case c.relkind when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' when 'f'
                    then 'foreign table' else 'table' end, c.relname)
            from pg_class as c where c.relnamespace = pg_my_temp_schema()
                and c.relkind in ('r', 'p', 'v', 'S', 'c', 'f')
            union all
            select format('%s %s', t.typname, t.oid),
                format('drop %s if exists pg_temp.%I cascade', case t.typtype when 'd' then 'domain' else 'type' end,
                t.typname)
            from pg_type as t where t.typnamespace = pg_my_temp_schema() and t.typtype in ('d', 'e', 'r');
    end if;
end
$$;

comment on function recovery._session_objects() is
    'What outlives a transaction in this session and can run code in it: cursors WITH HOLD, which are filled at '
    'commit by whoever is the user then, and temporary relations and types, which hide those of pg_catalog from '
    'whoever goes on; with the statement that removes it.';

revoke all on function recovery._session_objects() from public;
