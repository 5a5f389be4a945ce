create or replace function recovery.read(
    p_after     bigint   default 0,
    p_limit     integer  default 1000,
    p_watch     text[]   default null,
    p_group     text[]   default null,
    p_reason    text[]   default null,
    p_kind      text[]   default null,
    p_topic     text[]   default null,
    p_epoch     bigint[] default null,
    p_unsettled boolean  default false
)
returns table (
    id bigint, at timestamptz, server_epoch bigint, watch text, kind text, topic text, key text, group_key text,
    reason text, detector text, old jsonb, new jsonb, settled boolean
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wanted  recovery.event_filter := row(p_watch, p_group, p_reason, p_kind, p_topic, p_epoch);
    v_after   bigint := recovery._check_after(p_after);
    v_settled bigint;
    v_page    record;
    v_sure    bigint := 9223372036854775807;  -- up to here nothing is missing
begin
    perform recovery._check_limit(p_limit);
    perform recovery._check_kinds(p_kind);
    loop
        select s.* into v_page from recovery._scan(v_after, '{}', p_limit, v_wanted, null) as s;
        if v_page.o_gaps <> '{}' then
            -- Ask, then look again.
            v_settled := recovery._settled();
            select s.* into v_page from recovery._scan(v_after, '{}', p_limit, v_wanted, v_settled) as s;
            v_sure := least(lower(v_page.o_gaps) - 1, v_sure);
        end if;
        -- Among many that nobody wants it goes on, up to those that it wants, or the end.
        exit when v_page.o_events is not null or not v_page.o_full or not p_unsettled and v_sure < v_page.o_newest;
        v_after := v_page.o_newest;
    end loop;
    return query
        select e.*, e.id <= v_sure from unnest(v_page.o_events) as e where p_unsettled or e.id <= v_sure;
end
$$;

comment on function recovery.read(bigint, integer, text[], text[], text[], text[], text[], bigint[], boolean) is
    'Events after an id, about p_limit of them, in order. Only settled ones, below which none can appear any more, so '
    'that the last id is where to go on; with p_unsettled also what is visible above, marked. Filters: an event must '
    'be in each list that is given. Works on a standby. RC010 bad limit, id or kind.';

revoke all on function recovery.read(bigint, integer, text[], text[], text[], text[], text[], bigint[], boolean)
from public;
