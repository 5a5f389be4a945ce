create or replace function recovery.close_sql(
    p_family  text,
    p_scope   text,
    p_owner   text    default 'epoch',
    p_guard   text    default 'ignore',
    p_careful boolean default false,
    p_failing boolean default false,
    p_heir    boolean default false,
    p_watch   text    default null
)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
/* One statement closes one batch of a family and writes its events.

   v<n>  the orphans of watch n in the batch, with the image of what a closing changes. They are not
         locked: a lock costs half as much as the update itself.
   u<n>  the update. It meets its row by ctid and xmin, so it changes exactly the version that v<n> saw;
         a row that somebody changed meanwhile no longer matches and is left to the next pass. It asks
         again for the owner and for open-ness, which is what makes a second closer harmless.
   k, o  for a family whose groups have events of their own: rows closed and rows open, by group; a group
         of which nothing stays open is idle.
   e     the events, ordered: groups as $2 lists them, watches by position, rows by order_by, then the
         group's own.

   $1 epoch  $2 groups | key after which to go on | key of one row  $3 limit  $4 reason  $5 message
   $6 detector  $7 at  $8 heir  $9 epochs that own open rows

   p_scope    groups: rows of the groups in $2;  range: $3 rows after key $2 (that have no group);  row: the row with key $2
   p_owner    epoch: rows of $1;  none: rows without an owner;  any: whoever owns them
   p_guard    fuses: ignore, without (leave guarded rows alone), with (only guarded rows)
   p_careful  skip rows that somebody has locked
   p_failing  leave out rows that are recorded as failing and not yet due
   p_heir     do not close but give to epoch $8                                                        */
declare
    v_watch  recovery.watch;
    v_n      integer := 0;
    v_ctes   text := '';
    v_rows   text := '';
    v_still  text := 'false';
    v_tail   text := 'null::text[], null::bigint';
    v_set    text;
    v_group  text;
    v_order  text;
    v_select text;
    v_closed text := '';
    v_opened text := '';
    v_head   recovery.watch;
begin
    for v_watch in
        select w.* from recovery.attached() as w
        where w.family = p_family and (p_watch is null or w.name = p_watch)
        order by w.position, w.name
    loop
        v_n := v_n + 1;
        v_group := coalesce('(' || v_watch.group_by || ')::text', 'null::text');
        v_order := coalesce(v_watch.order_by, format('row(%s)', recovery.key_sql(v_watch, 'columns')));
        if p_heir then
            v_set := 'server_epoch = $8';
        else
            select string_agg(format('%I = %s', s.key, s.value), ', ') into v_set from jsonb_each_text(v_watch.close) as s;
            v_still := v_still || format(' or exists (select from u%s where still)', v_n);
        end if;
        v_select := format(
            'select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, %s as key, %s as parts, %s as grp, %s as old from %s as r where %s and %s',
            recovery.key_text(v_watch.key_columns, 'r'), recovery.key_sql(v_watch, 'parts'), v_group,
            case when p_heir then $$jsonb_build_object('server_epoch', r.server_epoch)$$ else v_watch.image end, v_watch.relation,
            recovery.scope_sql(v_watch, p_owner, p_guard),
            recovery.key_sql(v_watch, case p_scope when 'range' then 'after' when 'row' then 'equal' else 'groups' end));
        if p_failing then
            v_select := v_select || format(
                ' and not exists (select from recovery.failure as f where f.watch = %L and f.key = %s and f.next_at > $7)',
                v_watch.name, recovery.key_text(v_watch.key_columns, 'r'));
        end if;
        if p_scope = 'range' then
            if v_watch.group_by is not null then
                v_select := v_select || format(' and (%s) is null', v_watch.group_by);
            end if;
            v_select := v_select || format(' order by %s limit $3', recovery.key_sql(v_watch, 'columns'));
            v_tail := format('(select parts from (select v.parts, row_number() over () as n from v%1$s as v) as k order by n desc limit 1), (select count(*) from v%1$s)', v_n);
        end if;
        if p_careful then
            v_select := v_select || ' for update of r skip locked';
        end if;
        v_ctes := v_ctes || format(
            E'v%1$s as materialized (%2$s),\n'
            'u%1$s as (update %3$s as r set %4$s from v%1$s as v cross join (values ($4, $5, $6, $7, (date_part(''epoch'', $7) * 1000)::bigint, $1)) as c (reason, message, detector, at, ms, epoch)'
            ' where r.ctid = v.tid and r.xmin = v.xm%5$s and %6$s and (%7$s)'
            ' returning v.owner, v.key, v.grp, v.old, %8$s as new, %9$s as ord, (%7$s) is true as still),\n',
            v_n, v_select, v_watch.relation, v_set,
            case (select c.relkind from pg_class as c where c.oid = v_watch.relation) when 'p' then ' and r.tableoid = v.tab' else '' end,
            case p_owner when 'epoch' then 'r.server_epoch = $1' when 'none' then 'r.server_epoch is null' else 'r.server_epoch is not distinct from v.owner' end,
            v_watch.open,
            case when p_heir then $$jsonb_build_object('server_epoch', r.server_epoch)$$ else v_watch.image end,
            case when p_scope = 'groups' then v_order else 'null::record' end);
        v_rows := v_rows || case when v_n = 1 then '' else ' union all ' end || format(
            'select %s as pos, %L::text as watch, %L::text as kind, %L::text as topic, u.owner, u.key, u.grp, %s, %s as ord from u%s as u%s',
            v_n, v_watch.name, case when p_heir then 'adopted' else 'closed' end, v_watch.topic,
            case when v_watch.diff and not p_heir then 'd.old, d.new' else 'u.old, u.new' end,
            case when p_scope = 'groups' then 'row_number() over (order by u.ord)' else '0' end,
            v_n,
            case when v_watch.diff and not p_heir then ' cross join lateral recovery.changed(u.old, u.new) as d' else '' end);
        v_closed := v_closed || case when v_n = 1 then '' else ' union all ' end || format('select u.owner, u.grp from u%1$s as u', v_n);
        v_opened := v_opened || case when v_n = 1 then '' else ' union all ' end || format(
            'select (%1$s)::text as grp, count(*) as n from %2$s as r where %3$s and (r.server_epoch = any($9) or r.server_epoch is null) and (%4$s)%5$s group by 1',
            v_watch.group_by, v_watch.relation, recovery.key_sql(v_watch, 'groups'), v_watch.open,
            coalesce(' and (' || v_watch.only_if || ')', ''));
        if v_watch.failed_topics is not null or v_watch.idle_topics is not null then
            v_head := v_watch;
        end if;
    end loop;
    if v_head.id is not null and p_scope = 'groups' and not p_heir then
        v_ctes := v_ctes || format(
            E'k as (select c.grp, min(c.owner) as owner, count(*) as n from (%s) as c group by c.grp),\n'
            'o as (select c.grp, sum(c.n) as n from (%s) as c group by c.grp),\n', v_closed, v_opened);
        v_rows := v_rows || format(
            ' union all select 1000000, %L, t.kind, t.topic, k.owner, k.grp, k.grp, null::jsonb, jsonb_build_object(''message'', $5), t.n from k cross join lateral ('
            'select ''failed'' as kind, f.topic, f.n from unnest(%L::text[]) with ordinality as f (topic, n)'
            ' union all select ''idle'', i.topic, 1000 + i.n from unnest(%L::text[]) with ordinality as i (topic, n)'
            ' where not exists (select from o where o.grp = k.grp and o.n > k.n)) as t',
            v_head.name, v_head.failed_topics, v_head.idle_topics);
    end if;
    return 'with ' || v_ctes || format(
        E'e as (insert into recovery.event (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)\n'
        'select x.owner, x.watch, x.kind, x.topic, x.key, x.grp, $4, $6, x.old, x.new from (%s) as x%s returning id, watch, kind)\n'
        'select coalesce((select jsonb_object_agg(s.watch, s.n) from (select e.watch, count(*) as n from e where e.kind in (''closed'', ''adopted'') group by e.watch) as s), ''{}''), (select min(id) from e), (select max(id) from e), (%s), %s',
        v_rows,
        case when p_scope = 'groups'
            then ' join unnest($2) with ordinality as g (grp, n) on g.grp = x.grp order by g.n, x.pos, x.ord' else '' end,
        v_still, v_tail);
end
$function$;

comment on function recovery.close_sql(text, text, text, text, boolean, boolean, boolean, text) is
    'Builds the statement that closes (or hands over) one batch of a family together with its events.';

revoke all on function recovery.close_sql(text, text, text, text, boolean, boolean, boolean, text) from public;
