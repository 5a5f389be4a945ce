create or replace function recovery._not_failing_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select recovery._render_sql($sql$
        not exists (
                  select from recovery.own_failure as f
                  where f.watch = {watch!l} and f.key = {key} and f.next_at > ($1).written)
        $sql$, jsonb_build_object(
        'watch', p_watch.name,
        'key', recovery._key_text(p_watch.key_columns, 'r')))
$$;

comment on function recovery._not_failing_sql(recovery.watch) is
    'The condition for a row that is not recorded as failing, or is due again.';

revoke all on function recovery._not_failing_sql(recovery.watch) from public;
