create or replace function recovery._scan(
    p_after bigint, p_gaps int8multirange, p_limit integer, p_wanted recovery.event_filter, p_settled bigint,
    out o_events recovery.event_row[], out o_newest bigint, out o_gaps int8multirange, out o_full boolean
)
returns record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
/* g  records that have appeared in the gaps; one of which a part is done begins before its gap
   r  records above p_after, from the one in which it is, and how many events stand before each of them
   s  as many of them as it takes to reach the limit, and the one before each. None if there may be more in the gaps:
      what stands above must not come before what it followed

   One statement, and so one look: what is not in it is a gap. */
declare
    v_rows  integer := p_limit + 2;
    v_found record;
begin
    -- Who follows finds nothing, or the next few: for these a small look does, of the same moment.
    if p_gaps = '{}' and p_after % 100 = 99 then
        select array_agg(row(o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason,
                             o.detector, o.old, o.new)::recovery.event_row order by o.id) as events,
               count(*) as count, max(o.id) as last, bool_and(o.keys is null) as single,
               sum(coalesce(cardinality(o.keys), 1)) as events_in_them
        into v_found
        from (select * from recovery.outbox as o where o.id > p_after order by o.id limit 10) as o;
        if v_found.count = 0
            or p_wanted is null and v_found.single and v_found.last = p_after - 99 + 100 * v_found.count
               and v_found.count < least(10, p_limit)
        then
            o_events := v_found.events;
            o_newest := coalesce(v_found.last + 99, p_after);
            o_gaps := '{}';
            o_full := false;
            return;
        end if;
        if v_found.events_in_them >= p_limit then
            v_rows := 12;  -- full ones: these ten, the one before, and one to know that there is more
        end if;
    end if;
    with g as materialized (
        select o.*, lower(m.missing) - 1 as after
        from unnest(p_gaps) as m (missing)
        cross join lateral (
            select * from recovery.outbox as o
            where o.id > lower(m.missing) - 100 and o.id < upper(m.missing) order by o.id limit p_limit) as o
        order by o.id limit p_limit
    ), r as materialized (
        select o.*, sum(o.n) over (order by o.id rows unbounded preceding) - o.n as before
        from (
            select o.*, greatest(0, coalesce(cardinality(o.keys), 1) - greatest(0, p_after - o.id + 1)) as n
            from recovery.outbox as o
            where o.id > p_after - 100 order by o.id limit v_rows
        ) as o
    ), s as materialized (
        select r.*, lag(r.id, 1, p_after - p_after % 100) over (order by r.id) as previous
        from r where r.before < p_limit and (select count(*) from g) < p_limit
    ), o as not materialized (
        select s.id, s.at, s.server_epoch, s.watch, s.kind, s.topic, s.key, s.group_key, s.reason, s.detector,
               s.old, s.new, s.keys, s.group_keys, p_after as after from s
        union all
        select g.id, g.at, g.server_epoch, g.watch, g.kind, g.topic, g.key, g.group_key, g.reason, g.detector,
               g.old, g.new, g.keys, g.group_keys, g.after from g
    ), e as (
        select row(o.id + o.n - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, o.key, o.group_key, o.reason,
                   o.detector, o.old, o.new)::recovery.event_row as event, o.id, o.n
        from (
            select o.*, 1::bigint as n from o where o.keys is null
            union all
            select o.id, o.at, o.server_epoch, o.watch, o.kind, o.topic, k.key, k.group_key, o.reason, o.detector,
                   o.old, o.new, null, null, o.after, k.n
            from o
            cross join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
            where o.keys is not null
        ) as o
        where o.id + o.n - 1 > o.after
          and (p_wanted is null
               or (p_wanted.watch is null or array_position(p_wanted.watch, o.watch) is not null)
              and (p_wanted.kind is null or array_position(p_wanted.kind, o.kind) is not null)
              and (p_wanted.topic is null or array_position(p_wanted.topic, o.topic) is not null)
              and (p_wanted.reason is null or array_position(p_wanted.reason, o.reason) is not null)
              and (p_wanted.epoch is null or array_position(p_wanted.epoch, o.server_epoch) is not null)
              and (p_wanted.group_key is null
                   or o.kind = 'gap'  -- of a watch: who follows a group has to know it, too
                   or array_position(p_wanted.group_key, o.group_key) is not null))
    )
    select (select array_agg(e.event order by e.id, e.n) from e) as events,
           coalesce((select max(s.id) + 99 from s), p_after) as newest,
           p_gaps
             + coalesce(
                 (select range_agg(int8range(s.previous + 100, s.id)) from s where s.id > s.previous + 100), '{}')
             - coalesce((select range_agg(int8range(g.id, g.id + 100)) from g), '{}') as gaps,
           (select count(*) from r) > (select count(*) from s) or (select count(*) from g) >= p_limit as more,
           case when (select count(*) from g) >= p_limit then (select max(g.id) from g) end as looked
    into v_found;
    o_events := v_found.events;
    o_newest := v_found.newest;
    o_full := v_found.more;
    -- What was rolled back. If the look was cut at the limit, it says nothing of the gaps that follow.
    o_gaps := v_found.gaps - int8multirange(int8range(null, least(coalesce(p_settled, 0), v_found.looked), '[]'));
end
$$;

comment on function recovery._scan(bigint, int8multirange, integer, recovery.event_filter, bigint) is
    'The events above p_after and in the gaps that are visible now, about p_limit of them, those that are wanted; '
    'where the next look begins (newest, at the end of a record), the gaps below it without those up to p_settled, '
    'which recovery._settled() gave before, and whether there is more.';

revoke all on function recovery._scan(bigint, int8multirange, integer, recovery.event_filter, bigint) from public;
