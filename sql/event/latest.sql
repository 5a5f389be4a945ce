create or replace function recovery.latest(
    p_limit  integer  default 20,
    p_watch  text[]   default null,
    p_group  text[]   default null,
    p_reason text[]   default null,
    p_kind   text[]   default null,
    p_topic  text[]   default null,
    p_epoch  bigint[] default null
)
returns setof recovery.event_row
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._check_limit(p_limit);
    perform recovery._check_kinds(p_kind);
    return query
        select l.*
        from (
            select o.id + coalesce(k.n, 1) - 1 as id, o.at, o.server_epoch, o.watch, o.kind, o.topic,
                   coalesce(o.key, k.key), coalesce(o.group_key, k.group_key) as group_key, o.reason, o.detector, o.old,
                   o.new
            from (
                -- From the end on, so many records in each of which there is at least one.
                select r.* from recovery.outbox as r
                where (p_watch is null or array_position(p_watch, r.watch) is not null)
                  and (p_reason is null or array_position(p_reason, r.reason) is not null)
                  and (p_kind is null or array_position(p_kind, r.kind) is not null)
                  and (p_topic is null or array_position(p_topic, r.topic) is not null)
                  and (p_epoch is null or array_position(p_epoch, r.server_epoch) is not null)
                  and (p_group is null
                       or case when r.group_keys is null then array_position(p_group, r.group_key) is not null
                               else exists (select from unnest(r.group_keys) as g (key)
                                            where array_position(p_group, g.key) is not null) end)
                order by r.id desc limit p_limit
            ) as o
            left join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n)
                on o.keys is not null
            where p_group is null or array_position(p_group, coalesce(o.group_key, k.group_key)) is not null
            order by o.id desc, k.n desc limit p_limit
        ) as l
        order by l.id;
end
$$;

comment on function recovery.latest(integer, text[], text[], text[], text[], text[], bigint[]) is
    'The newest events that are visible, p_limit of them, in order: to look at, not to follow. Filters as of '
    'recovery.read(). RC010 bad limit or kind.';

revoke all on function recovery.latest(integer, text[], text[], text[], text[], text[], bigint[]) from public;
