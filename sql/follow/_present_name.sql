create or replace function recovery._present_name(p_kind text, p_object oid, p_part integer)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- By functions that read the catalog as it is now, where there is one, and not as a transaction's snapshot sees it.
    select case p_kind
        when 'column' then (
            select n.name from (select (
                pg_identify_object_as_address('pg_class'::regclass, p_object, p_part)).object_names[3]) as n (name)
            where n.name not like '........pg.dropped.%')
        when 'relation' then (pg_identify_object('pg_class'::regclass, p_object, 0)).identity
        when 'type' then format_type(p_object, null)
        when 'function' then (
            select format('%I.%I', n.nspname, p.proname)
            from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where p.oid = p_object)
        when 'label' then (select e.enumlabel::text from pg_enum as e where e.oid = p_object)
        when 'system' then (select c.system_identifier::text from pg_control_system() as c)
    end
$$;

comment on function recovery._present_name(text, oid, integer) is
    'What an object that a watch uses is called now: kind column (of the relation p_object), relation, type, function, '
    'label of an enum; system: the cluster, for object ids mean nothing in another. Null: it is gone.';

revoke all on function recovery._present_name(text, oid, integer) from public;
