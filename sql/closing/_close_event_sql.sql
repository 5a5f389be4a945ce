create or replace function recovery._close_event_sql(
    p_watch recovery.watch, p_n integer, p_image jsonb, p_selection text, p_heir boolean, p_records boolean
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_join  constant text := E'\n        cross join ';
    v_plain constant boolean := (p_image -> 'plain')::boolean;
    v_diff  constant boolean := p_watch.diff and not p_heir;
    v_same  constant boolean := (p_image -> 'same')::boolean and not v_diff;
    v_kind  constant text := recovery._close_kind_sql(p_watch, p_heir);
    v_new   constant text := case when p_image ->> 'fixed' is not null then format('(select n.new from n%s as n)', p_n)
                                  when p_records then format('coalesce(a.new, (select f.new from f%s as f))', p_n)
                                  when v_same then format(
                                      'case when %s then f.new else to_jsonb(j.*) end', p_image ->> 'equal')
                                  when v_plain then 'to_jsonb(j.*)'
                                  else 'u.new' end;
    v_old   constant text := case when p_records then format('coalesce(a.old, (select f.old from f%s as f))', p_n)
                                  when v_same then format(
                                      'case when %s then f.old else to_jsonb(i.*) end', p_image ->> 'equal')
                                  when v_plain then 'to_jsonb(i.*)'
                                  else 'u.old' end;
begin
    if p_records then
        return recovery._render_sql($sql$
                select {n} as pos, {watch!l}::text as watch, a.kind, {topic!l}::text as topic, a.owner,
                       case when cardinality(a.keys) = 1 then a.keys[1] end as key,
                       case when cardinality(a.keys) = 1 then a.grps[1] end as grp,
                       {values}, 0 as ord,
                       case when cardinality(a.keys) > 1 then a.keys end as keys,
                       case when cardinality(a.keys) > 1 then a.grps end as grps
                from a{n} as a{difference}
        $sql$, jsonb_build_object('n', p_n, 'watch', p_watch.name, 'topic', p_watch.topic,
            'values', case when v_diff then 'd.old, d.new'
                           else v_old || E' as old,\n               ' || v_new || ' as new' end,
            'difference', case when v_diff
                then format('%slateral recovery._json_difference(%s, %s) as d', v_join, v_old, v_new) else '' end));
    end if;
    return recovery._render_sql($sql$
                select {n} as pos, {watch!l}::text as watch, {kind}::text as kind, {topic!l}::text as topic,
                       u.owner, u.key, u.grp,
                       {values}, {order} as ord, null::text[] as keys, null::text[] as grps
                from u{n} as u{joins}
        $sql$, jsonb_build_object(
        'n', p_n,
        'watch', p_watch.name,
        'kind', v_kind,
        'topic', p_watch.topic,
        'values', case when v_diff then 'd.old, d.new' else v_old || E' as old,\n               ' || v_new
            || ' as new' end,
        'order', case when p_selection = 'groups' then 'row_number() over (order by u.ord)' else '0' end,
        'joins', concat(
            case when v_same then format('%sf%s as f', v_join, p_n) end,
            case when v_plain then format('%slateral (select %s) as i', v_join, p_image ->> 'old') end,
            case when v_plain and p_image ->> 'fixed' is null
                then format('%slateral (select %s) as j', v_join, p_image ->> 'new') end,
            case when v_diff
                then format('%slateral recovery._json_difference(to_jsonb(i.*), %s) as d', v_join, v_new) end)));
end
$$;

comment on function recovery._close_event_sql(recovery.watch, integer, jsonb, text, boolean, boolean) is
    'The part of the statement that closes which lists the events of the rows of the n-th watch: rows that had the '
    'same values, and get the same, a hundred at a time.';

revoke all on function recovery._close_event_sql(recovery.watch, integer, jsonb, text, boolean, boolean) from public;
