create or replace function recovery.page(
    p_newest bigint, p_gaps int8multirange default '{}', p_limit integer default 1000,
    p_wanted recovery.event_filter default null
)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, newest bigint, gaps int8multirange, "full" boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_settled bigint := 0;
    v_page    record;
begin
    perform recovery._check_limit(p_limit);
    if p_gaps <> '{}' then
        v_settled := recovery._settled();
    end if;
    select s.* into v_page from recovery._scan(p_newest, p_gaps, p_limit, p_wanted, v_settled) as s;
    return query
        select null::bigint, null::timestamptz, null::bigint, null::text, null::text, null::text, null::text,
               null::text, null::text, null::text, null::jsonb, null::jsonb, v_page.o_newest, v_page.o_gaps,
               v_page.o_full;
    return query
        select e.*, null::bigint, null::int8multirange, null::boolean from unnest(v_page.o_events) as e;
end
$$;

comment on function recovery.page(bigint, int8multirange, integer, recovery.event_filter) is
    'For a consumer that keeps its position itself: first a row of nothing but the position to read on with (newest, '
    'gaps, and whether there is more), then the events that have become visible since. RC010 bad limit.';

revoke all on function recovery.page(bigint, int8multirange, integer, recovery.event_filter) from public;
