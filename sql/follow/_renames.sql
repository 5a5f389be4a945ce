create or replace function recovery._renames(p_watch recovery.watch)
returns table (kind text, was text, name text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* As they stand in a compiled expression, but a column of the table as row.status, for a host may have a type r.status
   (a schema "row" would stand in quotes); of another one as .status; a label behind its type, as app.state/running. */
declare
    v_use   record;
begin
    for v_use in
        select u.use ->> 0 as kind, (u.use ->> 1)::oid as object, u.use ->> 3 as was, p.name
        from jsonb_array_elements(p_watch.uses) as u (use)
        cross join lateral recovery._present_name(u.use ->> 0, (u.use ->> 1)::oid, (u.use ->> 2)::integer) as p (name)
        where p.name is distinct from u.use ->> 3
        order by p.name is not null, u.use ->> 0 = 'column'
    loop
        if v_use.name is null then
            perform recovery._fail('RC006', format('%s %s%s does not exist any more', v_use.kind, v_use.was,
                case v_use.kind when 'column' then format(' of %s', coalesce(
                    (pg_identify_object('pg_class'::regclass, v_use.object, 0)).identity, 'a table')) else '' end));
        end if;
        kind := v_use.kind;
        was := v_use.was;
        name := v_use.name;
        if kind = 'column' then
            was := case v_use.object when p_watch.relation then 'row' else '' end || '.' || quote_ident(v_use.was);
            name := quote_ident(v_use.name);
            if v_use.object <> p_watch.relation and exists (
                select from jsonb_array_elements(p_watch.uses) as u (use)
                where u.use ->> 0 = 'column' and u.use ->> 3 = v_use.was
                  and (u.use ->> 1)::oid not in (v_use.object, p_watch.relation))
            then
                perform recovery._fail('RC006', format('column %s of %s is called %s now, and another table that the '
                    'expressions read has a column of the old name', v_use.was, v_use.object::regclass, v_use.name));
            end if;
        elsif kind = 'label' then
            select (t.use ->> 3) || '/' || v_use.was into was
            from pg_enum as e join jsonb_array_elements(p_watch.uses) as t (use)
              on t.use ->> 0 = 'type' and (t.use ->> 1)::oid in (
                  select y.oid from pg_type as y where y.oid = e.enumtypid
                  union select y.typarray from pg_type as y where y.oid = e.enumtypid)
            where e.oid = v_use.object order by 1 limit 1;
            was := replace(was, '[]', '');
        end if;
        return next;
    end loop;
end
$$;

comment on function recovery._renames(recovery.watch) is
    'What a watch uses that has got another name since it was compiled. RC006 something is gone.';

revoke all on function recovery._renames(recovery.watch) from public;
