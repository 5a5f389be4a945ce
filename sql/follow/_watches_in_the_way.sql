create or replace function recovery._watches_in_the_way(p_query text)
returns setof recovery.watch
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with
    said (what, name) as (
        select p.what, case when m.name[1] like '"%' then replace(trim('"' from m.name[1]), '""', '"')
                            else lower(m.name[1]) end
        from (values
            ('table', '\malter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(?:NAME\s*\.\s*)?(NAME)'),
            ('column', '\m(?:drop|alter)\s+(?:column\s+)?(?:if\s+exists\s+)?(NAME)')) as p (what, pattern)
        cross join lateral regexp_matches(
            p_query, replace(p.pattern, 'NAME', '(?:"(?:[^"]|"")*"|[[:alpha:]_][[:alnum:]_$]*)'), 'gi') as m (name)
        where p_query ~* '\m(drop|type)\M'
    )
    select w.*
    from recovery._attached_watches() as w
    join pg_class as c on c.oid = w.relation
    where exists (select from said as t where t.what = 'table' and t.name = c.relname)
      and exists (
        select from pg_attribute as a join said as s on s.what = 'column' and s.name = a.attname
        where a.attrelid = c.oid
          and (a.attnum = any(w.open_columns || w.owner_columns)
               or strpos(w.started, 'r.' || quote_ident(a.attname)) > 0))
$$;

comment on function recovery._watches_in_the_way(text) is
    'The watches whose triggers and indexes keep the ALTER TABLE in p_query from dropping a column or '
    'changing its type, as far as its text shows that.';

revoke all on function recovery._watches_in_the_way(text) from public;
