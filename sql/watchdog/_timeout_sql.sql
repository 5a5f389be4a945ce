create or replace function recovery._timeout_sql(
    p_watch recovery.watch, p_name text, out o_text text, out o_least interval
)
returns record
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- The settings as they are now, the most specific first; as recovery.get_setting decides it.
    select 'case ' || string_agg(format('when %s then %s',
               coalesce(nullif(concat_ws(' and ',
                   case when s.group_key <> '' then format('x.grp = %L', s.group_key) end,
                                                  case when s.kind <> '' then format('x.kind = %L', s.kind) end), ''),
                                                      'true'),
               case s.value when 'off' then 'null' else quote_literal(s.value) || '::interval' end), ' '
               order by s.group_key <> '' desc, s.kind <> '' desc, s.watch <> '' desc) || ' end',
           min(nullif(s.value, 'off')::interval)
    from recovery.setting as s
    where s.name = p_name and s.watch in ('', p_watch.name)
$$;

comment on function recovery._timeout_sql(recovery.watch, text) is
    'A timeout of the rows of a watch as SQL over x.kind and x.grp, null where it is off or not set; and the least '
    'there is.';

revoke all on function recovery._timeout_sql(recovery.watch, text) from public;
