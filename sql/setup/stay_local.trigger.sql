-- What is written often is never there to be updated: it was not let in.
do $$
declare
    v_table record;
begin
    for v_table in
        select c.oid::regclass as name, c.relname in ('server', 'touch') or c.relispartition as often
        from pg_catalog.pg_class as c
        where c.relnamespace = 'recovery'::regnamespace and c.relkind = 'r' order by c.relname
    loop
        execute format('create trigger recovery_00_stay_local before insert%s on %s '
            'for each row execute function recovery._stay_local()',
            case when v_table.often then '' else ' or update or delete' end, v_table.name);
        execute format('alter table %s enable replica trigger recovery_00_stay_local', v_table.name);
        execute format('comment on trigger recovery_00_stay_local on %s is %L', v_table.name,
            'Drops what a subscription brings: our tables are of this database only.');
    end loop;
end
$$;
