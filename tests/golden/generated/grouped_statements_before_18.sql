-- Generated from the watches of sessions. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py

-- closes a batch
with v1 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.data as o1, r.status as o2, r.attempts as o3
    from app.task as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and r.session = g.g
    offset 0) as s
),
u1 as (
    update app.task as r set data = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then r.data else (r.data || '{"interrupted": true}'::jsonb) end,
        status = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then 'queued'::text else 'failed'::text end,
        attempts = coalesce(r.attempts, 0) + case when c.reason = any('{shutdown,drain_expired}'::text[]) then 0 else 1 end,
        server_epoch = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then null else r.server_epoch end
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm and r.tableoid = v.tab
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, jsonb_build_array(r.session, r.number)::text as key, (r.session)::text as grp,
              v.o1, v.o2, v.o3,
              r.data as n1, r.status as n2, r.attempts as n3,
              ROW(r.created, r.number) as ord,
              r.attempts as tries,
              case when ((r.status = 'running'::text)) then recovery._refuse_open_row('app.task') end
),
n2 as materialized (
    select jsonb_build_object('state', 'idle'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v2 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.state as o1
    from app.session as r
    where r.server_epoch = ($1).epoch
      and ((r.state = 'busy'::text))
      and r.id = g.g
    offset 0) as s
),
u2 as (
    update app.session as r set state = 'idle'::text
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.state = 'busy'::text) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.state = 'busy'::text)) then recovery._refuse_open_row('app.session') end
),
f2 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u2 as u
    cross join lateral (select u.o1 as state) as i
    limit 1
),
k as (
    select c.grp, min(c.owner) as owner, count(*) as n
    from (select u.owner, u.grp from u1 as u union all select u.owner, u.grp from u2 as u) as c
    group by c.grp
),
o as (
    select jsonb_object_agg(c.grp, c.n) as n
    from (
        select c.grp, sum(c.n) as n
        from (
            select g.g::text as grp, s.n
            from unnest(($1).keys::uuid[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from app.task as r
                    where r.server_epoch = w.epoch and r.session = g.g and ((r.status = 'running'::text)) offset 0) as r
                union all
                select count(*) from app.task as r
                where r.server_epoch is null and r.session = g.g and ((r.status = 'running'::text)) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::uuid[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from app.session as r
                    where r.server_epoch = w.epoch and r.id = g.g and ((r.state = 'busy'::text)) offset 0) as r
                union all
                select count(*) from app.session as r
                where r.server_epoch is null and r.id = g.g and ((r.state = 'busy'::text)) offset 0) as s
            where s.n > 0
        ) as c
        group by c.grp
    ) as c
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.task'::text as watch, case when u.tries < 3 or ($1).reason = any('{shutdown,drain_expired}'::text[]) then 'requeued' else 'closed' end::text as kind, 'task.changed'::text as topic,
               u.owner, u.key, u.grp,
               d.old, d.new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        cross join lateral (select u.o1 as data, u.o2 as status, u.o3 as attempts) as i
        cross join lateral (select u.n1 as data, u.n2 as status, u.n3 as attempts) as j
        cross join lateral recovery._json_difference(to_jsonb(i.*), to_jsonb(j.*)) as d
        union all
        select 2 as pos, 'app.session'::text as watch, 'closed'::text as kind, NULL::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n2 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
        cross join f2 as f
        cross join lateral (select u.o1 as state) as i
        union all
        select 1000000, 'app.session', t.kind, t.topic, k.owner, k.grp, k.grp,
               null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
        from k
        cross join lateral (
            select 'failed' as kind, f.topic, f.n
            from unnest('{session.failed}'::text[]) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n
            from unnest('{session.idle}'::text[]) with ordinality as i (topic, n)
            where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.task'::text, count(*) from u1
    union all
    select 'app.session'::text, count(*) from u2
) as s (watch, n);

-- closes a batch with fuses, by the way round locks
with v1 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.data as o1, r.status as o2, r.attempts as o3
    from app.task as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'row' and f.watch = 'app.task' and f.key = jsonb_build_array(r.session, r.number)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'group' and f.key = (r.session)::text)))
      and r.session = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'app.task' and f.key = jsonb_build_array(r.session, r.number)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u1 as (
    update app.task as r set data = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then r.data else (r.data || '{"interrupted": true}'::jsonb) end,
        status = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then 'queued'::text else 'failed'::text end,
        attempts = coalesce(r.attempts, 0) + case when c.reason = any('{shutdown,drain_expired}'::text[]) then 0 else 1 end,
        server_epoch = case when (coalesce(r.attempts, 0) + 1 < 3 or c.reason = any('{shutdown,drain_expired}'::text[])) then null else r.server_epoch end
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm and r.tableoid = v.tab
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, jsonb_build_array(r.session, r.number)::text as key, (r.session)::text as grp,
              v.o1, v.o2, v.o3,
              r.data as n1, r.status as n2, r.attempts as n3,
              ROW(r.created, r.number) as ord,
              r.attempts as tries,
              case when ((r.status = 'running'::text)) then recovery._refuse_open_row('app.task') end
),
n2 as materialized (
    select jsonb_build_object('state', 'idle'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v2 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.state as o1
    from app.session as r
    where r.server_epoch = ($1).epoch
      and ((r.state = 'busy'::text))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'row' and f.watch = 'app.session' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'group' and f.key = (r.id)::text)))
      and r.id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'app.session' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u2 as (
    update app.session as r set state = 'idle'::text
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.state = 'busy'::text) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.state = 'busy'::text)) then recovery._refuse_open_row('app.session') end
),
f2 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u2 as u
    cross join lateral (select u.o1 as state) as i
    limit 1
),
k as (
    select c.grp, min(c.owner) as owner, count(*) as n
    from (select u.owner, u.grp from u1 as u union all select u.owner, u.grp from u2 as u) as c
    group by c.grp
),
o as (
    select jsonb_object_agg(c.grp, c.n) as n
    from (
        select c.grp, sum(c.n) as n
        from (
            select g.g::text as grp, s.n
            from unnest(($1).keys::uuid[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from app.task as r
                    where r.server_epoch = w.epoch and r.session = g.g and ((r.status = 'running'::text)) offset 0) as r
                union all
                select count(*) from app.task as r
                where r.server_epoch is null and r.session = g.g and ((r.status = 'running'::text)) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::uuid[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from app.session as r
                    where r.server_epoch = w.epoch and r.id = g.g and ((r.state = 'busy'::text)) offset 0) as r
                union all
                select count(*) from app.session as r
                where r.server_epoch is null and r.id = g.g and ((r.state = 'busy'::text)) offset 0) as s
            where s.n > 0
        ) as c
        group by c.grp
    ) as c
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.task'::text as watch, case when u.tries < 3 or ($1).reason = any('{shutdown,drain_expired}'::text[]) then 'requeued' else 'closed' end::text as kind, 'task.changed'::text as topic,
               u.owner, u.key, u.grp,
               d.old, d.new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        cross join lateral (select u.o1 as data, u.o2 as status, u.o3 as attempts) as i
        cross join lateral (select u.n1 as data, u.n2 as status, u.n3 as attempts) as j
        cross join lateral recovery._json_difference(to_jsonb(i.*), to_jsonb(j.*)) as d
        union all
        select 2 as pos, 'app.session'::text as watch, 'closed'::text as kind, NULL::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n2 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
        cross join f2 as f
        cross join lateral (select u.o1 as state) as i
        union all
        select 1000000, 'app.session', t.kind, t.topic, k.owner, k.grp, k.grp,
               null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
        from k
        cross join lateral (
            select 'failed' as kind, f.topic, f.n
            from unnest('{session.failed}'::text[]) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n
            from unnest('{session.idle}'::text[]) with ordinality as i (topic, n)
            where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.task'::text, count(*) from u1
    union all
    select 'app.session'::text, count(*) from u2
) as s (watch, n);

-- closes a batch, handed over
with v1 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from app.task as r
    where r.server_epoch = ($1).epoch
      and ((r.status = 'running'::text))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'row' and f.watch = 'app.task' and f.key = jsonb_build_array(r.session, r.number)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'group' and f.key = (r.session)::text)))
      and r.session = g.g
    for update of r skip locked
    offset 0) as s
),
u1 as (
    update app.task as r set server_epoch = ($1).heir
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm and r.tableoid = v.tab
      and case when r.server_epoch = ($1).epoch then (r.status = 'running'::text) end
    returning v.owner, jsonb_build_array(r.session, r.number)::text as key, (r.session)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              ROW(r.created, r.number) as ord,
              r.attempts as tries
),
v2 as materialized (
    select s.* from unnest(($1).keys::uuid[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from app.session as r
    where r.server_epoch = ($1).epoch
      and ((r.state = 'busy'::text))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'row' and f.watch = 'app.session' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'group' and f.key = (r.id)::text)))
      and r.id = g.g
    for update of r skip locked
    offset 0) as s
),
u2 as (
    update app.session as r set server_epoch = ($1).heir
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.state = 'busy'::text) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              row(r.id) as ord
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.task'::text as watch, 'adopted'::text as kind, 'task.changed'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        union all
        select 2 as pos, 'app.session'::text as watch, 'adopted'::text as kind, NULL::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'app.task'::text, count(*) from u1
    union all
    select 'app.session'::text, count(*) from u2
) as s (watch, n);

-- closes a unit
with n1 as materialized (
    select jsonb_build_object('state', 'idle'::text) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.state as o1
    from app.session as r
    where ($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
      and ((r.state = 'busy'::text))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'row' and f.watch = 'app.session' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'sessions' and f.scope = 'group' and f.key = (r.id)::text)))
      and r.id = (($1).keys[1])::uuid
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'app.session' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
),
u1 as (
    update app.session as r set state = 'idle'::text,
        server_epoch = -abs(r.server_epoch)
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch is not distinct from v.owner then (r.state = 'busy'::text) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.o1,
              case when ((r.state = 'busy'::text)) then recovery._refuse_open_row('app.session') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as state) as i
    limit 1
),
a1 as materialized (
    select u.owner, 'closed' as kind, array_agg(u.key) as keys, array_agg(u.grp) as grps,
           (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old
    from (
        select u.*, u.o1 is not distinct from f.o1 as same, row_number() over () - 1 as place
        from u1 as u cross join f1 as f
    ) as u
    cross join lateral (select u.o1 as state) as i
    group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
),
e as (
    insert into recovery.outbox_6
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'app.session'::text as watch, a.kind, NULL::text as topic, a.owner,
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
    select 'app.session'::text, coalesce(sum(cardinality(a.keys)), 0) from a1 as a
) as s (watch, n);

-- app.task: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, case when x.kind is not null then case when true then '00:10:00'::interval end end) as tool, case when true then '01:00:00'::interval end as task, null::interval as wall
    from (
        select jsonb_build_array(r.session, r.number)::text as key, (r.session)::text as grp, r.server_epoch as owner, ((r.data ->> 'kind'::text))::text as kind, (r.created) as started,
               greatest((r.created), (((r.data ->> 'moved'::text))::timestamp with time zone), t.at, g.at, ($1).since) as moved, t.child_at,
               null::interval as own, ((r.data ? 'question'::text)) is true as held, (((r.data ->> 'session'::text))::uuid)::text as child
        from app.task as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'sessions' and t.scope = 'row' and t.watch = 'app.task' and t.key = jsonb_build_array(r.session, r.number)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'sessions' and g.scope = 'group' and g.key = (r.session)::text
            offset 0) as g on true
        where ((r.status = 'running'::text)) and (true) and (r.created) < ($1).at - ($1).span
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;
