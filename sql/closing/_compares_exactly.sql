create or replace function recovery._compares_exactly(p_watch recovery.watch)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Not numeric (1.0 = 1.00), nor a collation that takes different texts for equal, nor what an extension brings.
    select bool_and(
        a.atttypid in ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype,
            'varchar'::regtype, 'uuid'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        and coalesce((select c.collisdeterministic from pg_collation as c where c.oid = a.attcollation), true))
    from pg_attribute as a
    where a.attrelid = p_watch.relation and p_watch.close ? a.attname::text
$$;

comment on function recovery._compares_exactly(recovery.watch) is
    'Whether equal values of the columns that a closing sets are the same values, so that events may share their '
    'image.';

revoke all on function recovery._compares_exactly(recovery.watch) from public;
