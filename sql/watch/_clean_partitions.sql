create or replace function recovery._clean_partitions(p_table regclass)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_left regclass;
begin
    for v_left in select l.* from recovery._left_partitions(p_table) as l order by l::text loop
        begin
            execute format('alter table %s drop column server_epoch', v_left);
        exception when others then
            raise warning 'recovery: %, which was a partition of %, keeps the column server_epoch: %', v_left, p_table,
                sqlerrm using hint = format('alter table %s drop column server_epoch;', v_left);
        end;
    end loop;
end
$$;

comment on function recovery._clean_partitions(regclass) is
    'Removes from detached partitions what PostgreSQL has left in them: the column server_epoch, and the index with '
    'it. What the caller may not alter is named in a warning.';

revoke all on function recovery._clean_partitions(regclass) from public;
