-- Generated from the watches of agent. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py

-- closes a batch
with n1 as materialized (
    select jsonb_build_object('time_ended', c.ms) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.time_ended as o1
    from agent.hold as r
    where r.server_epoch = ($1).epoch
      and ((r.time_ended IS NULL))
      and r.session_id = g.g
    offset 0) as s
),
u1 as (
    update agent.hold as r set time_ended = c.ms
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_ended IS NULL) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.time_ended IS NULL)) then recovery._refuse_open_row('agent.hold') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as time_ended) as i
    limit 1
),
v2 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data',
        CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((r.data -> 'state'::text) -> 'status'::text), 'error', ((r.data -> 'state'::text) -> 'error'::text), 'time', ((r.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((r.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((r.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (r.data -> 'time'::text))
        END)) as old
    from agent.part as r
    where r.server_epoch = ($1).epoch
      and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))))
      and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text)))))))
      and r.session_id = g.g
    offset 0) as s
),
u2 as (
    update agent.part as r set data =         CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN (r.data || jsonb_build_object('state', ((r.data -> 'state'::text) || jsonb_build_object('status', 'error', 'error', (('Tool execution was interrupted ('::text || c.message) || ')'::text), 'metadata',
            CASE
                WHEN ((r.data ->> 'tool'::text) = 'task'::text) THEN agent.interrupted(agent.metadata_of(r.*), (('Tool execution was interrupted ('::text || c.message) || ')'::text))
                ELSE agent.interrupted(((r.data -> 'state'::text) -> 'metadata'::text), (('Tool execution was interrupted ('::text || c.message) || ')'::text))
            END, 'time', (agent.object_of(((r.data -> 'state'::text) -> 'time'::text)) || jsonb_build_object('start', COALESCE(NULLIF((((r.data -> 'state'::text) -> 'time'::text) -> 'start'::text), 'null'::jsonb), to_jsonb(c.ms)), 'end', c.ms))))))
            ELSE (r.data || jsonb_build_object('time', ((r.data -> 'time'::text) || jsonb_build_object('end', c.ms))))
        END,
        time_updated = c.ms
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then ((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data',
        CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((r.data -> 'state'::text) -> 'status'::text), 'error', ((r.data -> 'state'::text) -> 'error'::text), 'time', ((r.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((r.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((r.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (r.data -> 'time'::text))
        END)) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord,
              case when (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) then recovery._refuse_open_row('agent.part') end
),
v3 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'error', (r.data -> 'error'::text), 'finish', (r.data -> 'finish'::text)))) as old
    from agent.message as r
    where r.server_epoch = ($1).epoch
      and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)))
      and r.session_id = g.g
    offset 0) as s
),
u3 as (
    update agent.message as r set data = (r.data || jsonb_build_object('time', (agent.object_of((r.data -> 'time'::text)) || jsonb_build_object('completed', c.ms)), 'error', COALESCE(NULLIF((r.data -> 'error'::text), 'null'::jsonb), jsonb_build_object('name', 'MessageAbortedError', 'data', jsonb_build_object('message', (('The turn was interrupted ('::text || c.message) || ')'::text)))))),
        time_updated = c.ms
    from v3 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'error', (r.data -> 'error'::text), 'finish', (r.data -> 'finish'::text)))) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord,
              case when ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) then recovery._refuse_open_row('agent.message') end
),
v4 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'finish', (r.data -> 'finish'::text), 'tools',
        CASE
            WHEN (r.type = 'assistant'::text) THEN agent.tools_of((r.data -> 'content'::text))
            ELSE NULL::jsonb
        END))) as old
    from agent.session_message as r
    where r.server_epoch = ($1).epoch
      and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))))
      and r.session_id = g.g
    offset 0) as s
),
u4 as (
    update agent.session_message as r set data = ((agent.object_of(r.data) || jsonb_build_object('time', (agent.object_of((r.data -> 'time'::text)) || jsonb_build_object('completed', COALESCE(NULLIF(((r.data -> 'time'::text) -> 'completed'::text), 'null'::jsonb), to_jsonb(c.ms)))))) ||
        CASE
            WHEN (r.type = 'shell'::text) THEN jsonb_build_object('output', agent.told((r.data ->> 'output'::text), (('Tool execution was interrupted ('::text || c.message) || ')'::text)))
            WHEN ((r.data -> 'content'::text) IS NOT NULL) THEN jsonb_build_object('content', agent.interrupted_content((r.data -> 'content'::text), c.ms))
            ELSE '{}'::jsonb
        END),
        time_updated = c.ms
    from v4 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'finish', (r.data -> 'finish'::text), 'tools',
        CASE
            WHEN (r.type = 'assistant'::text) THEN agent.tools_of((r.data -> 'content'::text))
            ELSE NULL::jsonb
        END))) as new,
              ROW(r.seq, (r.id COLLATE "C")) as ord,
              case when ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) then recovery._refuse_open_row('agent.session_message') end
),
n5 as materialized (
    select jsonb_build_object('time_compacting', NULL::bigint) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v5 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.time_compacting as o1
    from agent.session as r
    where r.server_epoch = ($1).epoch
      and ((r.time_compacting IS NOT NULL))
      and r.id = g.g
    offset 0) as s
),
u5 as (
    update agent.session as r set time_compacting = NULL::bigint
    from v5 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_compacting IS NOT NULL) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.time_compacting IS NOT NULL)) then recovery._refuse_open_row('agent.session') end
),
f5 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u5 as u
    cross join lateral (select u.o1 as time_compacting) as i
    limit 1
),
k as (
    select c.grp, min(c.owner) as owner, count(*) as n
    from (select u.owner, u.grp from u1 as u union all select u.owner, u.grp from u2 as u union all select u.owner, u.grp from u3 as u union all select u.owner, u.grp from u4 as u union all select u.owner, u.grp from u5 as u) as c
    group by c.grp
),
o as (
    select jsonb_object_agg(c.grp, c.n) as n
    from (
        select c.grp, sum(c.n) as n
        from (
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.hold as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((r.time_ended IS NULL)) offset 0) as r
                union all
                select count(*) from agent.hold as r
                where r.server_epoch is null and r.session_id = g.g and ((r.time_ended IS NULL)) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.part as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text))))))) offset 0) as r
                union all
                select count(*) from agent.part as r
                where r.server_epoch is null and r.session_id = g.g and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text))))))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.message as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) offset 0) as r
                union all
                select count(*) from agent.message as r
                where r.server_epoch is null and r.session_id = g.g and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.session_message as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) offset 0) as r
                union all
                select count(*) from agent.session_message as r
                where r.server_epoch is null and r.session_id = g.g and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.session as r
                    where r.server_epoch = w.epoch and r.id = g.g and ((r.time_compacting IS NOT NULL)) offset 0) as r
                union all
                select count(*) from agent.session as r
                where r.server_epoch is null and r.id = g.g and ((r.time_compacting IS NOT NULL)) offset 0) as s
            where s.n > 0
        ) as c
        group by c.grp
    ) as c
),
e as (
    insert into recovery.outbox_1
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'agent.hold'::text as watch, 'closed'::text as kind, 'hold.ended'::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n1 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        cross join f1 as f
        cross join lateral (select u.o1 as time_ended) as i
        union all
        select 2 as pos, 'agent.part'::text as watch, 'closed'::text as kind, 'message.part.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
        union all
        select 3 as pos, 'agent.message'::text as watch, 'closed'::text as kind, 'message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u3 as u
        union all
        select 4 as pos, 'agent.session_message'::text as watch, 'closed'::text as kind, 'session.message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u4 as u
        union all
        select 5 as pos, 'agent.session'::text as watch, 'closed'::text as kind, 'session.updated'::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n5 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u5 as u
        cross join f5 as f
        cross join lateral (select u.o1 as time_compacting) as i
        union all
        select 1000000, 'agent.session', t.kind, t.topic, k.owner, k.grp, k.grp,
               null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
        from k
        cross join lateral (
            select 'failed' as kind, f.topic, f.n
            from unnest('{session.error}'::text[]) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n
            from unnest('{session.status,session.idle}'::text[]) with ordinality as i (topic, n)
            where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'agent.hold'::text, count(*) from u1
    union all
    select 'agent.part'::text, count(*) from u2
    union all
    select 'agent.message'::text, count(*) from u3
    union all
    select 'agent.session_message'::text, count(*) from u4
    union all
    select 'agent.session'::text, count(*) from u5
) as s (watch, n);

-- closes a batch with fuses, by the way round locks
with n1 as materialized (
    select jsonb_build_object('time_ended', c.ms) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.time_ended as o1
    from agent.hold as r
    where r.server_epoch = ($1).epoch
      and ((r.time_ended IS NULL))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.hold' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.hold' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u1 as (
    update agent.hold as r set time_ended = c.ms
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_ended IS NULL) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.time_ended IS NULL)) then recovery._refuse_open_row('agent.hold') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as time_ended) as i
    limit 1
),
v2 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data',
        CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((r.data -> 'state'::text) -> 'status'::text), 'error', ((r.data -> 'state'::text) -> 'error'::text), 'time', ((r.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((r.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((r.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (r.data -> 'time'::text))
        END)) as old
    from agent.part as r
    where r.server_epoch = ($1).epoch
      and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))))
      and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text)))))))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.part' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.part' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u2 as (
    update agent.part as r set data =         CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN (r.data || jsonb_build_object('state', ((r.data -> 'state'::text) || jsonb_build_object('status', 'error', 'error', (('Tool execution was interrupted ('::text || c.message) || ')'::text), 'metadata',
            CASE
                WHEN ((r.data ->> 'tool'::text) = 'task'::text) THEN agent.interrupted(agent.metadata_of(r.*), (('Tool execution was interrupted ('::text || c.message) || ')'::text))
                ELSE agent.interrupted(((r.data -> 'state'::text) -> 'metadata'::text), (('Tool execution was interrupted ('::text || c.message) || ')'::text))
            END, 'time', (agent.object_of(((r.data -> 'state'::text) -> 'time'::text)) || jsonb_build_object('start', COALESCE(NULLIF((((r.data -> 'state'::text) -> 'time'::text) -> 'start'::text), 'null'::jsonb), to_jsonb(c.ms)), 'end', c.ms))))))
            ELSE (r.data || jsonb_build_object('time', ((r.data -> 'time'::text) || jsonb_build_object('end', c.ms))))
        END,
        time_updated = c.ms
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then ((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data',
        CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((r.data -> 'state'::text) -> 'status'::text), 'error', ((r.data -> 'state'::text) -> 'error'::text), 'time', ((r.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((r.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((r.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((r.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (r.data -> 'time'::text))
        END)) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord,
              case when (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) then recovery._refuse_open_row('agent.part') end
),
v3 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'error', (r.data -> 'error'::text), 'finish', (r.data -> 'finish'::text)))) as old
    from agent.message as r
    where r.server_epoch = ($1).epoch
      and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.message' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.message' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u3 as (
    update agent.message as r set data = (r.data || jsonb_build_object('time', (agent.object_of((r.data -> 'time'::text)) || jsonb_build_object('completed', c.ms)), 'error', COALESCE(NULLIF((r.data -> 'error'::text), 'null'::jsonb), jsonb_build_object('name', 'MessageAbortedError', 'data', jsonb_build_object('message', (('The turn was interrupted ('::text || c.message) || ')'::text)))))),
        time_updated = c.ms
    from v3 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'error', (r.data -> 'error'::text), 'finish', (r.data -> 'finish'::text)))) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord,
              case when ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) then recovery._refuse_open_row('agent.message') end
),
v4 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'finish', (r.data -> 'finish'::text), 'tools',
        CASE
            WHEN (r.type = 'assistant'::text) THEN agent.tools_of((r.data -> 'content'::text))
            ELSE NULL::jsonb
        END))) as old
    from agent.session_message as r
    where r.server_epoch = ($1).epoch
      and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.session_message' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.session_message' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u4 as (
    update agent.session_message as r set data = ((agent.object_of(r.data) || jsonb_build_object('time', (agent.object_of((r.data -> 'time'::text)) || jsonb_build_object('completed', COALESCE(NULLIF(((r.data -> 'time'::text) -> 'completed'::text), 'null'::jsonb), to_jsonb(c.ms)))))) ||
        CASE
            WHEN (r.type = 'shell'::text) THEN jsonb_build_object('output', agent.told((r.data ->> 'output'::text), (('Tool execution was interrupted ('::text || c.message) || ')'::text)))
            WHEN ((r.data -> 'content'::text) IS NOT NULL) THEN jsonb_build_object('content', agent.interrupted_content((r.data -> 'content'::text), c.ms))
            ELSE '{}'::jsonb
        END),
        time_updated = c.ms
    from v4 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_strip_nulls(jsonb_build_object('time_updated', r.time_updated, 'data', jsonb_build_object('time', (r.data -> 'time'::text), 'finish', (r.data -> 'finish'::text), 'tools',
        CASE
            WHEN (r.type = 'assistant'::text) THEN agent.tools_of((r.data -> 'content'::text))
            ELSE NULL::jsonb
        END))) as new,
              ROW(r.seq, (r.id COLLATE "C")) as ord,
              case when ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) then recovery._refuse_open_row('agent.session_message') end
),
n5 as materialized (
    select jsonb_build_object('time_compacting', NULL::bigint) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v5 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.time_compacting as o1
    from agent.session as r
    where r.server_epoch = ($1).epoch
      and ((r.time_compacting IS NOT NULL))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.session' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.id)::text)))
      and r.id = g.g
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.session' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
    offset 0) as s
),
u5 as (
    update agent.session as r set time_compacting = NULL::bigint
    from v5 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_compacting IS NOT NULL) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.o1,
              row(r.id) as ord,
              case when ((r.time_compacting IS NOT NULL)) then recovery._refuse_open_row('agent.session') end
),
f5 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u5 as u
    cross join lateral (select u.o1 as time_compacting) as i
    limit 1
),
k as (
    select c.grp, min(c.owner) as owner, count(*) as n
    from (select u.owner, u.grp from u1 as u union all select u.owner, u.grp from u2 as u union all select u.owner, u.grp from u3 as u union all select u.owner, u.grp from u4 as u union all select u.owner, u.grp from u5 as u) as c
    group by c.grp
),
o as (
    select jsonb_object_agg(c.grp, c.n) as n
    from (
        select c.grp, sum(c.n) as n
        from (
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.hold as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((r.time_ended IS NULL)) offset 0) as r
                union all
                select count(*) from agent.hold as r
                where r.server_epoch is null and r.session_id = g.g and ((r.time_ended IS NULL)) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.part as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text))))))) offset 0) as r
                union all
                select count(*) from agent.part as r
                where r.server_epoch is null and r.session_id = g.g and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text))))))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.message as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) offset 0) as r
                union all
                select count(*) from agent.message as r
                where r.server_epoch is null and r.session_id = g.g and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.session_message as r
                    where r.server_epoch = w.epoch and r.session_id = g.g and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) offset 0) as r
                union all
                select count(*) from agent.session_message as r
                where r.server_epoch is null and r.session_id = g.g and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) offset 0) as s
            where s.n > 0
            union all
            select g.g::text as grp, s.n
            from unnest(($1).keys::text[]) as g (g)
            cross join lateral (
                select count(*) as n
                from unnest(($1).epochs) as w (epoch)
                cross join lateral (
                    select from agent.session as r
                    where r.server_epoch = w.epoch and r.id = g.g and ((r.time_compacting IS NOT NULL)) offset 0) as r
                union all
                select count(*) from agent.session as r
                where r.server_epoch is null and r.id = g.g and ((r.time_compacting IS NOT NULL)) offset 0) as s
            where s.n > 0
        ) as c
        group by c.grp
    ) as c
),
e as (
    insert into recovery.outbox_1
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'agent.hold'::text as watch, 'closed'::text as kind, 'hold.ended'::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n1 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        cross join f1 as f
        cross join lateral (select u.o1 as time_ended) as i
        union all
        select 2 as pos, 'agent.part'::text as watch, 'closed'::text as kind, 'message.part.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
        union all
        select 3 as pos, 'agent.message'::text as watch, 'closed'::text as kind, 'message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u3 as u
        union all
        select 4 as pos, 'agent.session_message'::text as watch, 'closed'::text as kind, 'session.message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u4 as u
        union all
        select 5 as pos, 'agent.session'::text as watch, 'closed'::text as kind, 'session.updated'::text as topic,
               u.owner, u.key, u.grp,
               case when u.o1 is not distinct from f.o1 then f.old else to_jsonb(i.*) end as old,
               (select n.new from n5 as n) as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u5 as u
        cross join f5 as f
        cross join lateral (select u.o1 as time_compacting) as i
        union all
        select 1000000, 'agent.session', t.kind, t.topic, k.owner, k.grp, k.grp,
               null::jsonb, jsonb_build_object('message', ($1).message), t.n, null, null
        from k
        cross join lateral (
            select 'failed' as kind, f.topic, f.n
            from unnest('{session.error}'::text[]) with ordinality as f (topic, n)
            union all
            select 'idle', i.topic, 1000 + i.n
            from unnest('{session.status,session.idle}'::text[]) with ordinality as i (topic, n)
            where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'agent.hold'::text, count(*) from u1
    union all
    select 'agent.part'::text, count(*) from u2
    union all
    select 'agent.message'::text, count(*) from u3
    union all
    select 'agent.session_message'::text, count(*) from u4
    union all
    select 'agent.session'::text, count(*) from u5
) as s (watch, n);

-- closes a batch, handed over
with v1 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from agent.hold as r
    where r.server_epoch = ($1).epoch
      and ((r.time_ended IS NULL))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.hold' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
    for update of r skip locked
    offset 0) as s
),
u1 as (
    update agent.hold as r set server_epoch = ($1).heir
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_ended IS NULL) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              row(r.id) as ord
),
v2 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from agent.part as r
    where r.server_epoch = ($1).epoch
      and (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))))
      and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text)))))))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.part' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
    for update of r skip locked
    offset 0) as s
),
u2 as (
    update agent.part as r set server_epoch = ($1).heir
    from v2 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then ((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord
),
v3 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from agent.message as r
    where r.server_epoch = ($1).epoch
      and ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.message' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
    for update of r skip locked
    offset 0) as s
),
u3 as (
    update agent.message as r set server_epoch = ($1).heir
    from v3 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              ROW(r.time_created, (r.id COLLATE "C")) as ord
),
v4 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from agent.session_message as r
    where r.server_epoch = ($1).epoch
      and ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.session_message' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.session_id = g.g
    for update of r skip locked
    offset 0) as s
),
u4 as (
    update agent.session_message as r set server_epoch = ($1).heir
    from v4 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              ROW(r.seq, (r.id COLLATE "C")) as ord
),
v5 as materialized (
    select s.* from unnest(($1).keys::text[]) as g (g) cross join lateral (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, jsonb_build_object('server_epoch', r.server_epoch) as old
    from agent.session as r
    where r.server_epoch = ($1).epoch
      and ((r.time_compacting IS NOT NULL))
      and ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.session' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.id)::text)))
      and r.id = g.g
    for update of r skip locked
    offset 0) as s
),
u5 as (
    update agent.session as r set server_epoch = ($1).heir
    from v5 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch = ($1).epoch then (r.time_compacting IS NOT NULL) end
    returning v.owner, (r.id)::text as key, (r.id)::text as grp,
              v.old,
              jsonb_build_object('server_epoch', r.server_epoch) as new,
              row(r.id) as ord
),
e as (
    insert into recovery.outbox_1
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'agent.hold'::text as watch, 'adopted'::text as kind, 'hold.ended'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u1 as u
        union all
        select 2 as pos, 'agent.part'::text as watch, 'adopted'::text as kind, 'message.part.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u2 as u
        union all
        select 3 as pos, 'agent.message'::text as watch, 'adopted'::text as kind, 'message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u3 as u
        union all
        select 4 as pos, 'agent.session_message'::text as watch, 'adopted'::text as kind, 'session.message.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u4 as u
        union all
        select 5 as pos, 'agent.session'::text as watch, 'adopted'::text as kind, 'session.updated'::text as topic,
               u.owner, u.key, u.grp,
               u.old as old,
               u.new as new, row_number() over (order by u.ord) as ord, null::text[] as keys, null::text[] as grps
        from u5 as u
    ) as x
    order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n))
              -> x.grp)::bigint, x.pos, x.ord
)
select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), '{}')
from (
    select 'agent.hold'::text, count(*) from u1
    union all
    select 'agent.part'::text, count(*) from u2
    union all
    select 'agent.message'::text, count(*) from u3
    union all
    select 'agent.session_message'::text, count(*) from u4
    union all
    select 'agent.session'::text, count(*) from u5
) as s (watch, n);

-- closes a unit
with n1 as materialized (
    select jsonb_build_object('time_ended', c.ms) as new
    from (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
),
v1 as materialized (
    select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, r.time_ended as o1
    from agent.hold as r
    where ($1).epoch is null and (r.server_epoch = any(($1).epochs) or r.server_epoch is null)
      and ((r.time_ended IS NULL))
      and not ((exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'row' and f.watch = 'agent.hold' and f.key = (r.id)::text)
       or exists (
          select from recovery.own_fuse as f
          where f.family = 'agent' and f.scope = 'group' and f.key = (r.session_id)::text)))
      and r.id = (($1).keys[1])::text
      and not exists (
          select from recovery.own_failure as f
          where f.watch = 'agent.hold' and f.key = (r.id)::text and f.next_at > ($1).written)
    for update of r skip locked
),
u1 as (
    update agent.hold as r set time_ended = c.ms,
        server_epoch = -abs(r.server_epoch)
    from v1 as v cross join (values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)
    where r.ctid = v.tid and r.xmin = v.xm
      and case when r.server_epoch is not distinct from v.owner then (r.time_ended IS NULL) end
    returning v.owner, (r.id)::text as key, (r.session_id)::text as grp,
              v.o1,
              case when ((r.time_ended IS NULL)) then recovery._refuse_open_row('agent.hold') end
),
f1 as materialized (
    select u.*, to_jsonb(i.*) as old
    from u1 as u
    cross join lateral (select u.o1 as time_ended) as i
    limit 1
),
a1 as materialized (
    select u.owner, 'closed' as kind, array_agg(u.key) as keys, array_agg(u.grp) as grps,
           (array_agg(to_jsonb(i.*)) filter (where not u.same))[1] as old
    from (
        select u.*, u.o1 is not distinct from f.o1 as same, row_number() over () - 1 as place
        from u1 as u cross join f1 as f
    ) as u
    cross join lateral (select u.o1 as time_ended) as i
    group by u.owner, 2, case when u.same then u.place / 100 else -1 - u.place end
),
e as (
    insert into recovery.outbox_1
        (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new, keys, group_keys)
    select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp,
           ($1).reason, ($1).detector, x.old, x.new, x.keys, x.grps
    from (
        select 1 as pos, 'agent.hold'::text as watch, a.kind, 'hold.ended'::text as topic, a.owner,
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
    select 'agent.hold'::text, coalesce(sum(cardinality(a.keys)), 0) from a1 as a
) as s (watch, n);

-- agent.part: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, case when x.kind is not null then null::interval end) as tool, null::interval as task, null::interval as wall
    from (
        select (r.id)::text as key, (r.session_id)::text as grp, r.server_epoch as owner, (        CASE
            WHEN ((r.data ->> 'type'::text) = 'tool'::text) THEN COALESCE((r.data ->> 'tool'::text), ''::text)
            ELSE NULL::text
        END)::text as kind, (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) as started,
               greatest((to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)), (GREATEST(to_timestamp((((r.time_updated)::numeric / 1000.0))::double precision), agent.held_until(r.session_id, r.id))), t.at, g.at, ($1).since) as moved, t.child_at,
               null::interval as own, (agent.is_held(r.session_id, r.id)) is true as held, (        CASE
            WHEN ((r.data ->> 'tool'::text) = 'task'::text) THEN COALESCE((((r.data -> 'state'::text) -> 'metadata'::text) ->> 'sessionId'::text), (agent.child_of(r.*) ->> 'sessionId'::text))
            ELSE NULL::text
        END)::text as child
        from agent.part as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'agent' and t.scope = 'row' and t.watch = 'agent.part' and t.key = (r.id)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'agent' and g.scope = 'group' and g.key = (r.session_id)::text
            offset 0) as g on true
        where (((((r.data ->> 'type'::text) = 'tool'::text) AND (((r.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((r.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((r.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((r.data -> 'time'::text) ->> 'end'::text) IS NULL)))) and ((((r.data ->> 'type'::text) = 'tool'::text) OR (EXISTS ( SELECT
           FROM agent.message m
          WHERE ((m.id = r.message_id) AND ((m.data ->> 'role'::text) = 'assistant'::text) AND ((((m.data -> 'time'::text) ->> 'completed'::text) IS NULL) OR (((m.data -> 'error'::text) ->> 'name'::text) = 'MessageAbortedError'::text))))))) and (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) < ($1).at - ($1).span
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;

-- agent.message: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, case when x.kind is not null then null::interval end) as tool, null::interval as task, null::interval as wall
    from (
        select (r.id)::text as key, (r.session_id)::text as grp, r.server_epoch as owner, (NULL::text)::text as kind, (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) as started,
               greatest((to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)), (GREATEST(to_timestamp((((r.time_updated)::numeric / 1000.0))::double precision), ( SELECT to_timestamp((((max(p.time_updated))::numeric / 1000.0))::double precision) AS to_timestamp
           FROM agent.part p
          WHERE (p.message_id = r.id)), agent.held_until(r.session_id, NULL::text))), t.at, g.at, ($1).since) as moved, t.child_at,
               null::interval as own, (agent.is_held(r.session_id, NULL::text)) is true as held, null::text as child
        from agent.message as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'agent' and t.scope = 'row' and t.watch = 'agent.message' and t.key = (r.id)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'agent' and g.scope = 'group' and g.key = (r.session_id)::text
            offset 0) as g on true
        where ((((r.data ->> 'role'::text) = 'assistant'::text) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL))) and (true) and (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) < ($1).at - ($1).span
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;

-- agent.session_message: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, case when x.kind is not null then null::interval end) as tool, null::interval as task, null::interval as wall
    from (
        select (r.id)::text as key, (r.session_id)::text as grp, r.server_epoch as owner, (NULL::text)::text as kind, (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) as started,
               greatest((to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)), (GREATEST(to_timestamp((((r.time_updated)::numeric / 1000.0))::double precision), agent.held_until(r.session_id, NULL::text))), t.at, g.at, ($1).since) as moved, t.child_at,
               null::interval as own, (agent.is_held(r.session_id, NULL::text)) is true as held, null::text as child
        from agent.session_message as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'agent' and t.scope = 'row' and t.watch = 'agent.session_message' and t.key = (r.id)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'agent' and g.scope = 'group' and g.key = (r.session_id)::text
            offset 0) as g on true
        where ((((r.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((r.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((r.type = 'assistant'::text) AND (r.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) and (true) and (to_timestamp((((r.time_created)::numeric / 1000.0))::double precision)) < ($1).at - ($1).span
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;

-- agent.session: what is due
select to_jsonb(z) from (
select y.key, y.grp, y.owner, y.kind, y.started, y.moved, y.child_at, y.tool, y.task, y.wall, y.held, y.child
from (
    select x.key, x.grp, x.owner, x.kind, x.started, x.moved, x.child_at, x.held, x.child,
           coalesce(x.own, case when x.kind is not null then null::interval end) as tool, null::interval as task, null::interval as wall
    from (
        select (r.id)::text as key, (r.id)::text as grp, r.server_epoch as owner, (NULL::text)::text as kind, (to_timestamp((((r.time_compacting)::numeric / 1000.0))::double precision)) as started,
               greatest((to_timestamp((((r.time_compacting)::numeric / 1000.0))::double precision)), (to_timestamp((((r.time_updated)::numeric / 1000.0))::double precision)), t.at, g.at, ($1).since) as moved, t.child_at,
               null::interval as own, (agent.is_held(r.id, NULL::text)) is true as held, null::text as child
        from agent.session as r
        left join lateral (
            select t.at, t.child_at from recovery.own_touch as t
            where t.family = 'agent' and t.scope = 'row' and t.watch = 'agent.session' and t.key = (r.id)::text
            offset 0) as t on true
        left join lateral (
            select max(g.at) as at from recovery.own_touch as g
            where g.family = 'agent' and g.scope = 'group' and g.key = (r.id)::text
            offset 0) as g on true
        where ((r.time_compacting IS NOT NULL)) and (true) and (to_timestamp((((r.time_compacting)::numeric / 1000.0))::double precision)) < ($1).at - ($1).span
    ) as x
) as y
where y.moved + least(y.tool, y.task) < ($1).at or y.started + y.wall < ($1).at
order by y.started) as z;
