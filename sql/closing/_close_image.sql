create or replace function recovery._close_image(p_watch recovery.watch, p_heir boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* What a closing changes, before and after, as fragments of SQL:

   plain    columns as they are, o1, o2 and n1, n2, of which the event makes json; else the image of the watch
   fixed    the new values, where they are the same for every row
   same     most rows are closed from the same values, to the same: json is made of the first row's
   before   what is read of the row while it is open
   kept     the same, from v<n>
   after    what is read of the row once it is closed; null: see fixed
   old, new, equal   from u<n>: the columns before and after by their names, and whether they are those of f<n>, to the
                     last bit */
declare
    v_plain constant boolean := (p_watch.spec ->> 'image') is null and not p_heir;
    v_image constant text := case when p_heir then $sql$jsonb_build_object('server_epoch', r.server_epoch)$sql$
                                  else p_watch.image end;
    v_exact constant boolean := coalesce(recovery._compares_exactly(p_watch), false);
    v_fixed text;
    v_list  jsonb;
begin
    if not v_plain then
        return jsonb_build_object('plain', false, 'fixed', null, 'same', false,
            'before', v_image || ' as old', 'kept', 'v.old', 'after', v_image || ' as new');
    end if;
    v_fixed := recovery._fixed_sql(p_watch);
    select jsonb_build_object(
        'before', string_agg(format('r.%I as o%s', s.name, s.n), ', ' order by s.n),
        'kept', string_agg(format('v.o%s', s.n), ', ' order by s.n),
        'after', case when v_fixed is null then string_agg(format('r.%I as n%s', s.name, s.n), ', ' order by s.n) end,
        'old', string_agg(format('u.o%s as %I', s.n, s.name), ', ' order by s.n),
        'new', string_agg(format('u.n%s as %I', s.n, s.name), ', ' order by s.n),
        'equal', case when v_exact then string_agg(
            format('u.o%s is not distinct from f.o%s', s.n, s.n)
                || case when v_fixed is null then format(' and u.n%s is not distinct from f.n%s', s.n, s.n) else '' end,
            ' and ' order by s.n)
            else format('row(%s)::record operator(pg_catalog.*=) row(%s)::record',
                string_agg(format('u.o%s', s.n) || case when v_fixed is null then format(', u.n%s', s.n) else '' end,
                    ', ' order by s.n),
                string_agg(format('f.o%s', s.n) || case when v_fixed is null then format(', f.n%s', s.n) else '' end,
                    ', ' order by s.n)) end)
    into v_list from jsonb_object_keys(p_watch.close) with ordinality as s (name, n);
    return v_list || jsonb_build_object('plain', true, 'fixed', v_fixed, 'same', true);
end
$$;

comment on function recovery._close_image(recovery.watch, boolean) is
    'How the statement that closes reads, keeps and compares what it changes in the rows of a watch.';

revoke all on function recovery._close_image(recovery.watch, boolean) from public;
