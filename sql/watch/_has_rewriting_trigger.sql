create or replace function recovery._has_rewriting_trigger(p_table regclass)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- 19: FOR EACH ROW, BEFORE, UPDATE.
    select exists (
        select from pg_trigger as t
        where t.tgenabled <> 'D' and t.tgtype::integer & 19 = 19 and t.tgname !~ '^zz_recovery_[0-9]{2}_'
          and t.tgrelid in (select p_table union select p.relid from pg_partition_tree(p_table) as p))
$$;

comment on function recovery._has_rewriting_trigger(regclass) is
    'Whether a trigger of the host may change a row on its way into the table, or into one of its partitions: BEFORE '
    'UPDATE FOR EACH ROW.';

revoke all on function recovery._has_rewriting_trigger(regclass) from public;
