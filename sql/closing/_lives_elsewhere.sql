create or replace function recovery._lives_elsewhere(p_watch text, p_scope text, p_key text)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from recovery._attached_watches() as w where w.name = p_watch
        and recovery._is_replicated(w.family))
       and exists (select from recovery._unit_rows(p_watch, p_scope, p_key) as o
           where not recovery._issued_here(o.server_epoch));
end
$$;

comment on function recovery._lives_elsewhere(text, text, text) is
    'Whether a row or group, with what closing it concerns, has open rows that came by logical replication: no '
    'timeout and no fuse closes it.';

revoke all on function recovery._lives_elsewhere(text, text, text) from public;
