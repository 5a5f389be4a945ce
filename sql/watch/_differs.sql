create or replace function recovery._differs(p_before recovery.watch, p_after recovery.watch)
returns boolean
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Compiled, an expression is as PostgreSQL prints it, however it was spelled.
    select to_jsonb(p_before) - v.given <> to_jsonb(p_after) - v.given
    from (values (array['spec', 'path', 'supervised', 'attached', 'runner', 'outbox', 'canonical', 'uses',
                        'checked', 'told'])) as v (given)
$$;

comment on function recovery._differs(recovery.watch, recovery.watch) is
    'Whether two registrations of a table mean something else, and are not only spelled otherwise.';

revoke all on function recovery._differs(recovery.watch, recovery.watch) from public;
