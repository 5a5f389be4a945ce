create or replace function recovery._index_sql(p_watch recovery.watch, p_kind text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
    -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
    select case p_kind
        when 'open' then recovery._render_sql(
            'create index {name!i} on {relation} (server_epoch{group}, {key}) where ({open})',
            jsonb_build_object(
                'name', 'recovery_open_' || p_watch.id,
                'relation', p_watch.relation,
                'group', coalesce(', (' || recovery._realias_sql(p_watch.group_by, p_watch.relation::text) || ')', ''),
                'key', (select string_agg(quote_ident(k.name), ', ' order by k.n)
                        from unnest(p_watch.key_columns) with ordinality as k (name, n)),
                'open', recovery._realias_sql(p_watch.open, p_watch.relation::text)))
        when 'started' then recovery._render_sql(
            'create index {name!i} on {relation} (({started})) where ({open}) and ({started}) is not null',
            jsonb_build_object(
                'name', 'recovery_started_' || p_watch.id,
                'relation', p_watch.relation,
                'started', recovery._realias_sql(p_watch.started, p_watch.relation::text),
                'open', recovery._realias_sql(p_watch.open, p_watch.relation::text))) end
$function$;

comment on function recovery._index_sql(recovery.watch, text) is
    'The statement that makes an index of a watch: open, by owner, group and key; started, for the watchdog.';

revoke all on function recovery._index_sql(recovery.watch, text) from public;
