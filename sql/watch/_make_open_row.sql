create or replace function recovery._make_open_row(p_watch recovery.watch, p_base text, p_set jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_task recovery.task;
    v_set  jsonb;
    v_row  jsonb;
    v_none jsonb;
begin
    v_task.path := p_watch.path;
    if p_base = 'insert' then
        select f.none into v_none from recovery._run_as_owner(p_watch.runner, format(
            'select pg_catalog.to_jsonb(not exists (select from %s))', p_watch.relation)) as f (none);
        if v_none <> 'true' then
            return null;  -- its rows were tried
        end if;
    end if;
    select coalesce(jsonb_object_agg(a.attname, case
            when p_set ? a.attname then p_set ->> a.attname
            when a.attname = p_watch.attempts then '0'
            else case t.typcategory
                when 'N' then '0' when 'S' then '''''' when 'B' then 'false' when 'D' then 'now()'
                when 'T' then '''0''' when 'A' then '''{}'''
                when 'E' then (select quote_literal(e.enumlabel) from pg_enum as e
                               where e.enumtypid = case t.typtype when 'd' then t.typbasetype else t.oid end
                                   order by e.enumsortorder limit 1)
                else case when t.typname in ('json', 'jsonb') then '''{}'''
                          when t.typname = 'uuid' then 'gen_random_uuid()' else '''''' end
            end end), '{}')
    into v_set
    from pg_attribute as a join pg_type as t on t.oid = a.atttypid
    where a.attrelid = p_watch.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and (p_set ? a.attname or a.attname = p_watch.attempts
          -- A default may use up a number of a sequence.
          or p_base = 'insert' and a.attnotnull and (not a.atthasdef or exists (
              select from pg_attrdef as d
              where d.adrelid = a.attrelid and d.adnum = a.attnum
                  and pg_get_expr(d.adbin, d.adrelid) ~ '\mnextval\M')));
    if p_base = 'insert' then
        select f.row into v_row from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with r as (insert into {relation} as r {values} returning {parts} as parts, ({open}) as open)
            select r.parts_and from (select case when r.open then to_jsonb(r.parts) end as parts_and from r) as r
            $sql$, jsonb_build_object(
            'relation', p_watch.relation,
            'values', case when v_set = '{}' then 'default values' else (
                select format('(%s) overriding system value values (%s)',
                    string_agg(quote_ident(s.key), ', ' order by s.key), string_agg(s.value, ', ' order by s.key))
                from jsonb_each_text(v_set) as s) end,
            'parts', recovery._key_sql(p_watch, 'parts'),
            'open', p_watch.open)), v_task, 'write') as f (row);
    elsif v_set <> '{}' then
        select f.row into v_row from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
            with u as (
                update {relation} as r set {set}
                where ({columns}) in (select {columns} from {relation} as r limit 3)
                returning {parts} as parts, ({open}) as open)
            select to_jsonb(u.parts) from u where u.open limit 1
            $sql$, jsonb_build_object(
            'relation', p_watch.relation,
            'set', (select string_agg(format('%I = %s', s.key, s.value), ', ') from jsonb_each_text(v_set) as s),
            'columns', recovery._key_sql(p_watch, 'columns'),
            'parts', recovery._key_sql(p_watch, 'parts'),
            'open', p_watch.open)), v_task, 'write') as f (row);
    end if;
    return v_row;
end
$$;

comment on function recovery._make_open_row(recovery.watch, text, jsonb) is
    'Makes a row of the table look open, by these values: one of three that are there (update), or where there is none '
    'a new one (insert), of defaults and of empty values where the table demands some. Its key, or null. To be called '
    'where it is taken back.';

revoke all on function recovery._make_open_row(recovery.watch, text, jsonb) from public;
