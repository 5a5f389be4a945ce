create or replace function recovery._trigger_names(p_watch recovery.watch)
returns text[]
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array['zz_recovery_10_insert', 'zz_recovery_20_update', 'recovery_10_insert', 'recovery_20_update',
                 'recovery_30_delete', 'recovery_40_truncate']
        || case when c.relkind = 'p' then array['zz_recovery_30_delete']
                when p_watch.owner is not null then array['zz_recovery_25_null', 'zz_recovery_27_owner']
                else array['zz_recovery_25_null'] end
    from pg_class as c where c.oid = p_watch.relation
$$;

comment on function recovery._trigger_names(recovery.watch) is
    'The names of what recovery._trigger_definitions makes: a sweep asks for them each time, and has no use for the '
    'statements.';

revoke all on function recovery._trigger_names(recovery.watch) from public;
