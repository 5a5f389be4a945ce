create or replace function recovery._close_sql(
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
         again for the owner and for open-ness, which is what makes a second closer harmless (inside a case,
         or the planner, which takes open rows for few, would look for them once more instead of by ctid).
         From PostgreSQL 18 on the update returns old values itself, and v<n> is needed only to go round locks.
   n<n>  the new values, where they are the same for every row.
   f<n>  the first row's old values as json; rows with the same values share it.
   k, o  for a family whose groups have events of their own: rows closed and rows open, by group; a group
         of which nothing stays open is idle.
   e     the events, ordered: groups as keys lists them, watches by position, rows by order_by, then the
         group's own.

   $1 is a recovery.task.

   p_scope    groups: rows of the groups in keys;  range: rows after key keys up to key bound;  loose: max_rows rows
              without a group;  row: the row with key keys
   p_owner    epoch: rows of epoch;  none: rows without an owner;  any: whoever owns them, one of epochs or nobody
   p_guard    fuses: ignore, without (leave guarded rows alone), with (only guarded rows)
   p_careful  skip rows that somebody has locked
   p_failing  leave out rows that are recorded as failing and not yet due
   p_heir     do not close but give to epoch heir

   Returns the rows closed, by watch. (Events `returning` their ids would cost half as much as the events.) */
declare
    v_watch  recovery.watch;
    v_n      integer := 0;
    v_outbox integer;
    v_direct boolean := current_setting('server_version_num')::integer >= 180000 and not p_careful and p_scope in ('groups', 'range');
    v_ctes   text := '';
    v_rows   text := '';
    v_where  text;
    v_again  text;
    v_set    text;
    v_group  text;
    v_old    text;
    v_new    text;
    v_fixed  text;
    v_plain  boolean;
    v_kind   text;
    v_closed text := '';
    v_opened text := '';
    v_counts text := '';
    v_same   boolean;
    v_list   record;
    v_c      constant text := $$(values (($1).reason, ($1).message, ($1).detector, ($1).written, (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch)) as c (reason, message, detector, at, ms, epoch)$$;
    v_head   recovery.watch;
begin
    for v_watch in
        select w.* from recovery._attached_watches() as w
        where w.family = p_family and (p_watch is null or w.name = p_watch)
        order by w.position, w.name
    loop
        v_n := v_n + 1;
        v_outbox := v_watch.outbox;
        v_group := coalesce('(' || v_watch.group_by || ')::text', 'null::text');
        v_plain := (v_watch.spec ->> 'image') is null and not p_heir;
        if p_heir then
            v_set := 'server_epoch = ($1).heir';
        else
            select string_agg(format('%I = %s', s.key, s.value), ', ') into v_set from jsonb_each_text(v_watch.close) as s;
            if p_owner = 'any' then
                -- Taken from an owner that may live: the sign refuses its late result.
                v_set := v_set || ', server_epoch = -abs(r.server_epoch)';
            elsif v_watch.attempts is not null then
                -- Back in the queue nobody owns it.
                v_set := v_set || format(', server_epoch = case when coalesce(r.%I, 0) + 1 < %s then null else r.server_epoch end', v_watch.attempts, v_watch.max_attempts);
            end if;
        end if;
        v_where := recovery._closable_sql(v_watch, p_owner, p_guard) || ' and '
            || recovery._key_sql(v_watch, case p_scope when 'range' then 'between' when 'row' then 'equal' when 'groups' then case when v_direct then 'groups' else 'group' end else p_scope end);
        if p_failing then
            v_where := v_where || format(
                ' and not exists (select from recovery.own_failure as f where f.watch = %L and f.key = %s and f.next_at > ($1).written)',
                v_watch.name, recovery._key_text(v_watch.key_columns, 'r'));
        end if;

        select string_agg(format('r.%I as o%s', s.name, s.n), ', ' order by s.n) as read,
               string_agg(format('v.o%s', s.n), ', ' order by s.n) as kept,
               string_agg(format('u.o%s as %I', s.n, s.name), ', ' order by s.n) as old,
               string_agg(format('u.n%s as %I', s.n, s.name), ', ' order by s.n) as new,
               string_agg(format('u.o%1$s is not distinct from f.o%1$s', s.n), ' and ' order by s.n) as same
        into v_list from jsonb_object_keys(v_watch.close) with ordinality as s (name, n);
        -- What the closing changes: columns as they are, for the event to make json of, or the watch's image.
        v_old := case when p_heir then $$jsonb_build_object('server_epoch', r.server_epoch)$$
                      when v_plain then v_list.read
                      else v_watch.image end;
        v_new := case when v_plain then replace(v_old, ' as o', ' as n') else v_old || ' as new' end;
        v_old := case when v_plain then v_old else v_old || ' as old' end;
        v_fixed := case when v_plain then recovery._fixed_sql(v_watch) end;
        v_same := v_plain and not v_watch.diff and recovery._compares_exactly(v_watch);
        if v_fixed is not null then
            v_ctes := v_ctes || format(E'n%s as materialized (select %s as new from %s),\n', v_n, v_fixed, v_c);
            v_new := null;
        end if;
        v_again := case when p_heir then '' else format(', case when (%s) then recovery._refuse_open_row(%L) end', v_watch.open, v_watch.name) end;

        if v_direct then
            v_ctes := v_ctes || format(
                E'u%s as (update %s as r set %s from %s where %s returning old.server_epoch as owner, %s as key, %s as grp, %s',
                v_n, v_watch.relation, v_set, v_c, v_where, recovery._key_text(v_watch.key_columns, 'r'), v_group,
                recovery._realias_sql(v_old, 'old'));
        else
            if p_scope = 'loose' then
                v_where := v_where || format(' order by %s limit ($1).max_rows', recovery._key_sql(v_watch, 'columns'));
            end if;
            v_ctes := v_ctes || format(
                E'v%1$s as materialized (%14$sselect r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, %2$s from %3$s as r where %4$s%5$s%15$s),\n'
                'u%1$s as (update %3$s as r set %6$s from v%1$s as v cross join %7$s where r.ctid = v.tid and r.xmin = v.xm%8$s and case when %9$s then %10$s end'
                ' returning v.owner, %11$s as key, %12$s as grp, %13$s',
                v_n, v_old, v_watch.relation, v_where, case when p_careful then ' for update of r skip locked' else '' end, v_set, v_c,
                case (select c.relkind from pg_class as c where c.oid = v_watch.relation) when 'p' then ' and r.tableoid = v.tab' else '' end,
                case p_owner when 'epoch' then 'r.server_epoch = ($1).epoch' when 'none' then 'r.server_epoch is null' else 'r.server_epoch is not distinct from v.owner' end,
                v_watch.open, recovery._key_text(v_watch.key_columns, 'r'), v_group,
                case when v_plain then v_list.kept else 'v.old' end,
                -- Group by group: an estimate of one row must not make it read all open rows for each batch.
                case p_scope when 'groups' then format('select s.* from unnest(($1).keys::%s[]) as g (g) cross join lateral (', v_watch.group_type) else '' end,
                case p_scope when 'groups' then ' offset 0) as s' else '' end);
        end if;
        v_ctes := v_ctes || coalesce(', ' || v_new, '')
            || case when p_scope = 'groups' then format(', %s as ord', coalesce(v_watch.order_by, format('row(%s)', recovery._key_sql(v_watch, 'columns')))) else '' end
            || case when v_watch.attempts is not null then format(', r.%I as tries', v_watch.attempts) else '' end
            || v_again || E'),\n';
        -- Most rows are closed from the same values: their image is made once, for the first row.
        v_ctes := v_ctes || case when v_same then format(
            E'f%1$s as materialized (select u.*, to_jsonb(i) as old from u%1$s as u cross join lateral (select %2$s) as i limit 1),\n', v_n, v_list.old) else '' end;

        v_kind := case when p_heir then $$'adopted'$$ when v_watch.attempts is null then $$'closed'$$
                       else format($$case when u.tries < %s then 'requeued' else 'closed' end$$, v_watch.max_attempts) end || '::text';
        v_rows := v_rows || case when v_n = 1 then '' else ' union all ' end || format(
            'select %s as pos, %L::text as watch, %s as kind, %L::text as topic, u.owner, u.key, u.grp, %s, %s as ord from u%s as u%s',
            v_n, v_watch.name, v_kind, v_watch.topic,
            case when v_watch.diff and not p_heir then 'd.old, d.new'
                 else case when v_same then 'case when ' || v_list.same || ' then f.old else to_jsonb(i) end'
                           when v_plain then 'to_jsonb(i)' else 'u.old' end || ' as old, '
                   || case when v_fixed is not null then format('(select n.new from n%s as n)', v_n) when v_plain then 'to_jsonb(j)' else 'u.new' end || ' as new' end,
            case when p_scope = 'groups' then 'row_number() over (order by u.ord)' else '0' end,
            v_n,
            case when v_same then format(' cross join f%s as f', v_n) else '' end
            || case when v_plain then format(' cross join lateral (select %s) as i', v_list.old) else '' end
            || case when v_plain and v_fixed is null then format(' cross join lateral (select %s) as j', v_list.new) else '' end
            || case when v_watch.diff and not p_heir then format(' cross join lateral recovery._json_difference(to_jsonb(i), %s) as d',
                    case when v_fixed is null then 'to_jsonb(j)' else format('(select n.new from n%s as n)', v_n) end) else '' end);
        v_closed := v_closed || case when v_n = 1 then '' else ' union all ' end || format('select u.owner, u.grp from u%1$s as u', v_n);
        v_opened := v_opened || case when v_n = 1 then '' else ' union all ' end || format(
            'select g.g::text as grp, s.n from unnest(($1).keys::%1$s[]) as g (g) cross join lateral ('
            'select count(*) as n from unnest(($1).epochs) as w (epoch) cross join lateral (select from %2$s as r where r.server_epoch = w.epoch and %3$s and (%4$s)%5$s offset 0) as r'
            ' union all select count(*) from %2$s as r where r.server_epoch is null and %3$s and (%4$s)%5$s offset 0) as s where s.n > 0',
            v_watch.group_type, v_watch.relation, recovery._key_sql(v_watch, 'group'), v_watch.open,
            coalesce(' and (' || v_watch.only_if || ')', ''));
        v_counts := v_counts || case when v_n = 1 then '' else ' union all ' end || format('select %L::text, count(*) from u%s', v_watch.name, v_n);
        if v_watch.failed_topics is not null or v_watch.idle_topics is not null then
            v_head := v_watch;
        end if;
    end loop;
    if v_head.id is not null and p_scope = 'groups' and not p_heir then
        v_ctes := v_ctes || format(
            E'k as (select c.grp, min(c.owner) as owner, count(*) as n from (%s) as c group by c.grp),\n'
            'o as (select jsonb_object_agg(c.grp, c.n) as n from (select c.grp, sum(c.n) as n from (%s) as c group by c.grp) as c),\n', v_closed, v_opened);
        v_rows := v_rows || format(
            ' union all select 1000000, %L, t.kind, t.topic, k.owner, k.grp, k.grp, null::jsonb, jsonb_build_object(''message'', ($1).message), t.n from k cross join lateral ('
            'select ''failed'' as kind, f.topic, f.n from unnest(%L::text[]) with ordinality as f (topic, n)'
            ' union all select ''idle'', i.topic, 1000 + i.n from unnest(%L::text[]) with ordinality as i (topic, n)'
            ' where coalesce(((select o.n from o) ->> k.grp)::bigint, 0) <= k.n and k.grp <> all(($1).busy)) as t',
            v_head.name, v_head.failed_topics, v_head.idle_topics);
    end if;
    return 'with ' || v_ctes || format(
        E'e as (insert into recovery.outbox_%s (at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)\n'
        'select ($1).written, x.owner, x.watch, x.kind, x.topic, x.key, x.grp, ($1).reason, ($1).detector, x.old, x.new from (%s) as x%s)\n'
        'select coalesce(jsonb_object_agg(s.watch, s.n) filter (where s.n > 0), ''{}'') from (%s) as s (watch, n)',
        v_outbox, v_rows,
        case when p_scope = 'groups'
            -- A map rather than a join, which an estimate of one row would make a nested loop.
            then ' order by ((select jsonb_object_agg(g.grp, g.n) from unnest(($1).keys) with ordinality as g (grp, n)) -> x.grp)::bigint, x.pos, x.ord' else '' end,
        v_counts);
end
$function$;

comment on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) is
    'Builds the statement that closes (or hands over) one batch of a family together with its events.';

revoke all on function recovery._close_sql(text, text, text, text, boolean, boolean, boolean, text) from public;
