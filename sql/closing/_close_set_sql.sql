create or replace function recovery._close_set_sql(p_watch recovery.watch, p_owner text, p_heir boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_heir then
        return 'server_epoch = ($1).heir';
    end if;
    return (select string_agg(format('%I = %s', s.key, s.value), E',\n        ')
        from jsonb_each_text(p_watch.close) as s)
        || case
            -- Taken from an owner that may live: the sign refuses its late result.
            when p_owner in ('any', 'lifeless') then E',\n        server_epoch = -abs(r.server_epoch)'
            -- Back in the queue nobody owns it.
            when p_watch.attempts is not null then format(
                E',\n        server_epoch = case when %s then null else r.server_epoch end',
                recovery._retries_sql(p_watch, 'c.reason'))
            else '' end;
end
$$;

comment on function recovery._close_set_sql(recovery.watch, text, boolean) is
    'What the statement that closes sets: the columns of the watch and the owner; or only the owner, for an heir.';

revoke all on function recovery._close_set_sql(recovery.watch, text, boolean) from public;
