create or replace function recovery._is_replicated(p_family text)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A disabled subscription counts: its publisher goes on. With publish_via_partition_root the root is its target,
    -- else the leaves. A family closes together, so one such table is enough.
    with recursive t (oid) as (
        select coalesce(pg_partition_root(w.relation)::oid, w.relation::oid) from recovery._attached_watches() as w
        where w.family = p_family and exists (select from pg_subscription_rel)
        union
        select i.inhrelid from t join pg_inherits as i on i.inhparent = t.oid
    )
    select exists (select from t join pg_subscription_rel as s on s.srrelid = t.oid)
$$;

comment on function recovery._is_replicated(text) is
    'Whether a subscription of logical replication, enabled or not, writes a table of this family: rows in it may be '
    'live at the publisher.';

revoke all on function recovery._is_replicated(text) from public;
