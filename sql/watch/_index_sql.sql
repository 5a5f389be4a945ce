create or replace function recovery._index_sql(
    p_watch recovery.watch, p_kind text, p_table regclass default null, p_name text default null, p_how text default ''
)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    -- Of what began, not of what moves: a timeout index on a moving column would end HOT updates. The test
    -- for null follows from any comparison and keeps it out of closings, which would read all open rows by it.
    select recovery._render_sql(
        case p_kind
            when 'open' then
                'create index {how}{name!i} on {only}{relation} (server_epoch{group}, {key}) where ({open})'
            when 'started' then
                'create index {how}{name!i} on {only}{relation} (({started}))'
                ' where ({open}) and ({started}) is not null'
        end,
        jsonb_build_object(
            'how', case p_how when 'concurrently' then 'concurrently ' else '' end,
            'only', case p_how when 'only' then 'only ' else '' end,
            'name', coalesce(p_name, format('recovery_%s_%s', p_kind, p_watch.id)),
            'relation', t.name,
            'open', recovery._realias_sql(p_watch.open, t.name))
        || case p_kind
            when 'open' then jsonb_build_object(
                'group', coalesce(', (' || recovery._realias_sql(p_watch.group_by, t.name) || ')', ''),
                'key', (select string_agg(quote_ident(k.name), ', ' order by k.n)
                        from unnest(p_watch.key_columns) with ordinality as k (name, n)))
            else jsonb_build_object('started', recovery._realias_sql(p_watch.started, t.name)) end)
    from (values (coalesce(p_table, p_watch.relation)::text)) as t (name)
$function$;

comment on function recovery._index_sql(recovery.watch, text, regclass, text, text) is
    'The statement that makes an index of a watch: open, by owner, group and key; started, for the watchdog. '
    'p_table: of one of its partitions instead; p_how: concurrently, or only (of a partitioned table).';

revoke all on function recovery._index_sql(recovery.watch, text, regclass, text, text) from public;
