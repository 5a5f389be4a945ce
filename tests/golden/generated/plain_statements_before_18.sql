-- Generated from the watches of app.job. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py

-- closes a batch
with n1 as materialized (
    select jsonb_build_object('error', c.message, 'status', 'failed'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.error as o1, r.status as o2
    from app.job as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and ((r.note IS DISTINCT FROM 'kept'::text))
      and ((r.started) >= ($1).at - '00:00:10'::interval) is not true
      and (($1).keys is null or (r.id) > ((($1).keys[1])::bigint)) and (($1).bound is null or (r.id) <= ((($1).bound[1])::bigint))
),
u1 as (
    update app.job as r set error = c.message,
        status = 'failed'::text
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, (r.id)::text as key, null::text as grp,
              v.o1, v.o2,
              case when ((r.status = 'running'::text)) then recovery._refuse_open_row('app.job') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    limit 1
),
a1 as materialized (
    select u.owner, 'closed' as kind, array_agg(u.key) as keys, null::text[] as grps,
           (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old
    from (
        select u.*, u.o1 is not distinct from f.o1 and u.o2 is not distinct from f.o2 as same, row_number() over () - 1 as place
        from u1 as u cross join f1 as f
    ) as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.job'::text as watch, a.kind, 'job.changed'::text as topic, a.owner,
               case when cardinality(a.keys) = 1 then a.keys[1] end as key,
               case when cardinality(a.keys) = 1 then a.grps[1] end as grp,
               coalesce(a.old, (select f.old from f1 as f)) as old,
               (select n.new from n1 as n) as new, 0 as ord,
               case when cardinality(a.keys) > 1 then a.keys end as keys,
               case when cardinality(a.keys) > 1 then a.grps end as grps
        from a1 as a
    ) as x
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.job'::text, coalesce(sum(cardinality(a.keys)), 0) from a1 as a
) as s (watch, n);

-- closes a batch with fuses, by the way round locks
with n1 as materialized (
    select jsonb_build_object('error', c.message, 'status', 'failed'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.error as o1, r.status as o2
    from app.job as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and ((r.note IS DISTINCT FROM 'kept'::text))
      and ((r.started) >= ($1).at - '00:00:10'::interval) is not true
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'app.job' and f.scope = 'row' and f.watch = 'app.job' and f.key = (r.id)::text)
))
      and (($1).keys is null or (r.id) > ((($1).keys[1])::bigint)) and (($1).bound is null or (r.id) <= ((($1).bound[1])::bigint))
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'app.job' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
),
u1 as (
    update app.job as r set error = c.message,
        status = 'failed'::text
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, (r.id)::text as key, null::text as grp,
              v.o1, v.o2,
              case when ((r.status = 'running'::text)) then recovery._refuse_open_row('app.job') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    limit 1
),
a1 as materialized (
    select u.owner, 'closed' as kind, array_agg(u.key) as keys, null::text[] as grps,
           (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old
    from (
        select u.*, u.o1 is not distinct from f.o1 and u.o2 is not distinct from f.o2 as same, row_number() over () - 1 as place
        from u1 as u cross join f1 as f
    ) as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.job'::text as watch, a.kind, 'job.changed'::text as topic, a.owner,
               case when cardinality(a.keys) = 1 then a.keys[1] end as key,
               case when cardinality(a.keys) = 1 then a.grps[1] end as grp,
               coalesce(a.old, (select f.old from f1 as f)) as old,
               (select n.new from n1 as n) as new, 0 as ord,
               case when cardinality(a.keys) > 1 then a.keys end as keys,
               case when cardinality(a.keys) > 1 then a.grps end as grps
        from a1 as a
    ) as x
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.job'::text, coalesce(sum(cardinality(a.keys)), 0) from a1 as a
) as s (watch, n);

-- closes a batch, handed over
with v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from app.job as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and ((r.note IS DISTINCT FROM 'kept'::text))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'app.job' and f.scope = 'row' and f.watch = 'app.job' and f.key = (r.id)::text)
))
      and (($1).keys is null or (r.id) > ((($1).keys[1])::bigint)) and (($1).bound is null or (r.id) <= ((($1).bound[1])::bigint))
    for update of r skip locked
),
u1 as (
    update app.job as r set server_epoch = ($1).heir
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, (r.id)::text as key, null::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.job'::text as watch, 'adopted'::text as kind, 'job.changed'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, 0 as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
    ) as x
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.job'::text, count(*) from u1
) as s (watch, n);

-- closes a unit
with n1 as materialized (
    select jsonb_build_object('error', c.message, 'status', 'failed'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.error as o1, r.status as o2
    from app.job as r
    where ($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
      and ((r.status = 'running'::text))
      and ((r.note IS DISTINCT FROM 'kept'::text))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'app.job' and f.scope = 'row' and f.watch = 'app.job' and f.key = (r.id)::text)
))
      and r.id = (($1).keys[1])::bigint
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'app.job' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
),
u1 as (
    update app.job as r set error = c.message,
        status = 'failed'::text,
        server_epoch = -abs(r.server_epoch)
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch is not distinct from v.owner then (r.status = 'running'::text) end
    returning v.owner, (r.id)::text as key, null::text as grp,
              v.o1, v.o2,
              case when ((r.status = 'running'::text)) then recovery._refuse_open_row('app.job') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    limit 1
),
a1 as materialized (
    select u.owner, 'closed' as kind, array_agg(u.key) as keys, null::text[] as grps,
           (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old
    from (
        select u.*, u.o1 is not distinct from f.o1 and u.o2 is not distinct from f.o2 as same, row_number() over () - 1 as place
        from u1 as u cross join f1 as f
    ) as u
    cross join lateral (select u.o1 as error, u.o2 as status) as i
    group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.job'::text as watch, a.kind, 'job.changed'::text as topic, a.owner,
               case when cardinality(a.keys) = 1 then a.keys[1] end as key,
               case when cardinality(a.keys) = 1 then a.grps[1] end as grp,
               coalesce(a.old, (select f.old from f1 as f)) as old,
               (select n.new from n1 as n) as new, 0 as ord,
               case when cardinality(a.keys) > 1 then a.keys end as keys,
               case when cardinality(a.keys) > 1 then a.grps end as grps
        from a1 as a
    ) as x
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.job'::text, coalesce(sum(cardinality(a.keys)), 0) from a1 as a
) as s (watch, n);

-- app.job: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, null::interval) as tool, null::interval as task, null::interval as wall
    from (
        select (r.id)::text as key, null::text as grp, r.server_epoch as owner, null::text as kind, (r.started) as started,
               greatest((r.started), null, t.at, g.at, ($1).since) as moved, t.child_at,
               ('01:00:00'::interval) as own, false as held, null::text as child
        from app.job as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'app.job' and t.scope = 'row' and t.watch = 'app.job' and t.key = (r.id)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'app.job' and g.scope = 'group' and g.key = null::text
            offset 0) as g on true
        where ((r.status = 'running'::text)) and ((r.note IS DISTINCT FROM 'kept'::text))
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;
