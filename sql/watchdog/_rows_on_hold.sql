create or replace function recovery._rows_on_hold(p_watch text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_count bigint := 0;
begin
    select w.* into v_watch from recovery._attached_watches() as w where w.name = p_watch and w.hold is not null;
    if found then
        begin
            select n.* into v_count from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                'select to_jsonb(count(*)) from {relation} as r where ({open}) and ({hold})',
                jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open, 'hold', v_watch.hold))) as n;
        exception when others then
            v_count := null;  -- broken: nobody knows
        end;
    end if;
    return v_count;
end
$$;

comment on function recovery._rows_on_hold(text) is
    'Open rows of a watch that are on hold; null if that cannot be told.';

revoke all on function recovery._rows_on_hold(text) from public;
