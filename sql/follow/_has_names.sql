create or replace function recovery._has_names(p_table regclass, p_uses jsonb)
returns boolean
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* It is not immutable, and says so on purpose: called with constants PostgreSQL computes it as it plans the expression
   around it, and never again until that plan is invalidated. The regclass among the constants makes the plan depend
   on the table, so that any ALTER TABLE does that. A trigger asks for each row, and it costs nothing. */
begin
    return not exists (
        select from jsonb_array_elements(p_uses) as u (use)
        where recovery._present_name(u.use ->> 0, (u.use ->> 1)::oid, (u.use ->> 2)::integer)
            is distinct from u.use ->> 3);
end
$$;

comment on function recovery._has_names(regclass, jsonb) is
    'Whether everything that a watch on p_table uses is still called as when its routines were made; p_uses as '
    'recovery.watch.uses. For trigger functions, which have the names in them.';

revoke all on function recovery._has_names(regclass, jsonb) from public;
