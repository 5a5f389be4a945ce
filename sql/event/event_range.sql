create or replace function recovery.event_range(p_from bigint, p_to bigint default null)
returns setof recovery.event_row
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select o.id + coalesce(k.n, 1) - 1, o.at, o.server_epoch, o.watch, o.kind, o.topic, coalesce(o.key, k.key),
           coalesce(o.group_key, k.group_key), o.reason, o.detector, o.old, o.new
    from recovery.outbox as o
    left join lateral unnest(o.keys, o.group_keys) with ordinality as k (key, group_key, n) on o.keys is not null
    where o.id > p_from - 100 and (p_to is null or o.id <= p_to)
      and o.id + coalesce(k.n, 1) - 1 >= p_from and (p_to is null or o.id + coalesce(k.n, 1) - 1 <= p_to)
    order by o.id, k.n
$$;

comment on function recovery.event_range(bigint, bigint) is
    'Events with an id from p_from to p_to, in order: by the index, where a search in the view reads them all.';

revoke all on function recovery.event_range(bigint, bigint) from public;
