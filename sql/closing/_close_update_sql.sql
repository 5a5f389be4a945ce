create or replace function recovery._close_update_sql(
    p_watch   recovery.watch,
    p_n       integer,
    p_image   jsonb,
    p_selection   text,
    p_owner   text,
    p_guard   text,
    p_careful boolean,
    p_failing boolean,
    p_heir    boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* n<n>  the new values, where they are the same for every row.
   v<n>  the orphans of watch n in the batch, with the image of what a closing changes. They are not
         locked: a lock costs half as much as the update itself.
   u<n>  the update. It meets its row by ctid and xmin, so it changes exactly the version that v<n> saw;
         a row that somebody changed meanwhile no longer matches and is left to the next pass. It asks
         again for the owner and for open-ness, which is what makes a second closer harmless (inside a case,
         or the planner, which takes open rows for few, would look for them once more instead of by ctid).
         From PostgreSQL 18 on the update returns old values itself, and v<n> is needed only to go round locks.
   f<n>  the first row's values as json; rows with the same values share it. */
declare
    v_direct constant boolean := current_setting('server_version_num')::integer >= 180000
        and not p_careful and p_selection in ('groups', 'range');
    v_c      constant text := $sql$(values (($1).reason, ($1).message, ($1).detector, ($1).written,
                  (date_part('epoch', ($1).written) * 1000)::bigint, ($1).epoch))
          as c (reason, message, detector, at, ms, epoch)$sql$;
    v_comma  constant text := E',\n              ';
    v_ctes   text := '';
    v_holes  jsonb;
begin
    if p_image ->> 'fixed' is not null then
        v_ctes := recovery._render_sql($sql$
            n{n} as materialized (
                select {fixed} as new
                from {c}
            ),
            $sql$, jsonb_build_object('n', p_n, 'fixed', p_image -> 'fixed', 'c', v_c)) || E'\n';
    end if;
    v_holes := jsonb_build_object(
        'n', p_n,
        'relation', p_watch.relation,
        'set', recovery._close_set_sql(p_watch, p_owner, p_heir),
        'c', v_c,
        'where', recovery._closable_sql(p_watch, p_owner, p_guard) || E'\n      and '
            || recovery._key_sql(p_watch, case p_selection
                when 'range' then 'between'
                when 'row' then 'equal'
                when 'groups' then case when v_direct then 'groups' else 'group' end
                else p_selection end)
            || case when p_failing then E'\n      and ' || recovery._not_failing_sql(p_watch) else '' end,
        'key', recovery._key_text(p_watch.key_columns, 'r'),
        'group', coalesce('(' || p_watch.group_by || ')::text', 'null::text'),
        'more', concat(
            v_comma || (p_image ->> 'after'),
            case when p_selection = 'groups' then
                v_comma || coalesce(p_watch.order_by, 'row(' || recovery._key_sql(p_watch, 'columns') || ')')
                    || ' as ord' end,
            v_comma || 'r.' || quote_ident(p_watch.attempts) || ' as tries',
            case when not p_heir then v_comma || format(
                'case when (%s) then recovery._refuse_open_row(%L) end', p_watch.open, p_watch.name) end));
    if v_direct then
        v_ctes := v_ctes || recovery._render_sql($sql$
            u{n} as (
                update {relation} as r set {set}
                from {c}
                where {where}
                returning old.server_epoch as owner, {key} as key, {group} as grp,
                          {before}{more}
            ),
            $sql$, v_holes || jsonb_build_object('before', recovery._realias_sql(p_image ->> 'before', 'old')));
    else
        v_ctes := v_ctes || recovery._render_sql($sql$
            v{n} as materialized (
                {each_group}
                select r.ctid as tid, r.xmin as xm, r.tableoid as tab, r.server_epoch as owner, {before}
                from {relation} as r
                where {where}
                {limit}
                {locking}
                {end_of_each}
            ),
            u{n} as (
                update {relation} as r set {set}
                from v{n} as v cross join {c}
                where r.ctid = v.tid and r.xmin = v.xm{same_partition}
                  and case when {owned} then {open}{dead} end
                returning v.owner, {key} as key, {group} as grp,
                          {kept}{more}
            ),
            $sql$, v_holes || jsonb_build_object(
            'before', p_image -> 'before',
            'kept', p_image -> 'kept',
            -- Group by group: an estimate of one row must not make it read all open rows for each batch.
            'each_group', case when p_selection = 'groups' then format(
                'select s.* from unnest(($1).keys::%s[]) as g (g) cross join lateral (', p_watch.group_type)
                    else '' end,
            'end_of_each', case when p_selection = 'groups' then 'offset 0) as s' else '' end,
            'limit', case when p_selection = 'loose' then format(
                'order by %s limit ($1).max_rows', recovery._key_sql(p_watch, 'columns')) else '' end,
            'locking', case when p_careful then 'for update of r skip locked' else '' end,
            'same_partition', case (select c.relkind from pg_class as c where c.oid = p_watch.relation)
                when 'p' then ' and r.tableoid = v.tab' else '' end,
            'owned', case p_owner
                when 'epoch' then 'r.server_epoch = ($1).epoch'
                when 'none' then 'r.server_epoch is null'
                else 'r.server_epoch is not distinct from v.owner' end,
            'open', p_watch.open,
            'dead', case when p_owner = 'lifeless'
                then coalesce(' and ' || recovery._life_sql(p_watch, 'dead'), '') else '' end));
    end if;
    if (p_image -> 'same')::boolean and not (p_watch.diff and p_selection = 'groups') then
        v_ctes := v_ctes || E'\n' || recovery._render_sql($sql$
            f{n} as materialized (
                select u.*, to_jsonb(i.*) as old{new}
                from u{n} as u
                cross join lateral (select {old}) as i{join}
                limit 1
            ),
            $sql$, jsonb_build_object('n', p_n, 'old', p_image -> 'old',
                'new', case when p_image ->> 'fixed' is null then ', to_jsonb(j.*) as new' else '' end,
                'join', case when p_image ->> 'fixed' is null
                    then format(E'\n    cross join lateral (select %s) as j', p_image ->> 'new') else '' end));
    end if;
    return v_ctes;
end
$$;

comment on function recovery._close_update_sql(
    recovery.watch, integer, jsonb, text, text, text, boolean, boolean, boolean
) is
    'The part of the statement that closes which changes the rows of the n-th watch, as common table expressions.';

revoke all on function recovery._close_update_sql(
    recovery.watch, integer, jsonb, text, text, text, boolean, boolean, boolean
) from public;
