create or replace function recovery._stale_sql(p_watch integer, p_what text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch   recovery.watch;
    v_renames jsonb;
    v_text    text;
begin
    select w.* into strict v_watch from recovery.watch as w where w.id = p_watch;
    v_renames := recovery._rename_map(v_watch);
    v_text := case p_what
        when 'open' then v_watch.open
        when 'group' then v_watch.group_by
        when 'image' then v_watch.image
        when 'owner' then v_watch.owner
        when 'key' then recovery._key_text(v_watch.key_columns, 'r') end;
    v_text := recovery._realias_sql(recovery._rename_sql(v_text, v_renames), E'\x01');
    return format('select (%s)::text', replace(replace(v_text, E'\x01.*', '$1'), E'\x01.', '($1).'));
end
$$;

comment on function recovery._stale_sql(integer, text) is
    'The statement that computes the open, group, image, owner or key of the row $1 by the present names of what it '
    'uses. RC006 something is gone.';

revoke all on function recovery._stale_sql(integer, text) from public;
