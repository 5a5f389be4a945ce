create or replace function recovery._check_partitions(p_table regclass)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_other record;
begin
    select p.relation, p.owner into v_other from recovery._partitions_of(p_table) as p
    where not pg_has_role(p.owner, 'usage') order by p.relation::text limit 1;
    if found then
        perform recovery._fail('42501', format('must be owner of partition %s of %s', v_other.relation, p_table),
            format('It belongs to %s. Who has the rights of both owners attaches the table, a superuser for one; or: '
                'alter table %s owner to %s;', v_other.owner, v_other.relation,
                (select c.relowner::regrole from pg_class as c where c.oid = p_table)));
    end if;
    select p.relation into v_other from recovery._partitions_of(p_table) as p
    join pg_trigger as t on t.tgrelid = p.relation
    where t.tgname ~ '^(zz_)?recovery_[0-9]{2}_' and t.tgparentid = 0 limit 1;
    if found then
        perform recovery._fail('RC006', format('partition %s of %s is watched itself', v_other.relation, p_table),
            format('Detach it first: select recovery.detach(%L).', v_other.relation));
    end if;
end
$$;

comment on function recovery._check_partitions(regclass) is
    'Refuses a caller without the rights of each partition''s owner, which what attach makes needs: 42501; and '
    'partitions that have triggers of ours: RC006.';

revoke all on function recovery._check_partitions(regclass) from public;
