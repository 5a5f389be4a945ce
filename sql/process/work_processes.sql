create or replace function recovery.work_processes(p_watch text, p_scope text, p_key text)
returns setof recovery.process
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_family text := recovery._family_of(p_watch, p_scope, 'process');
    v_groups text[] := array[p_key];
begin
    if p_scope = 'row' then
        return query select p.* from recovery.process as p
            where p.family = v_family and p.scope = 'row' and p.watch = p_watch and p.key = p_key
              and recovery._problem_of(p.pid, p.process_start) is null order by p.id;
        return;
    end if;
    if not exists (select from recovery.process as p where p.family = v_family) then
        return;
    end if;
    begin
        v_groups := recovery._group_tree(v_family, v_groups, false);
    exception when data_exception then
        null;  -- a key that no group can have
    end;
    return query select p.* from recovery.process as p
        where p.family = v_family and recovery._problem_of(p.pid, p.process_start) is null
          and case p.scope when 'group' then p.key = any (v_groups)
                           else (select r.o_group from recovery._row_of_process(p) as r) = any (v_groups) end
        order by p.id;
end
$$;

comment on function recovery.work_processes(text, text, text) is
    'The processes that do a row, or a group with all its rows and descendant groups, whoever started them. RC008 not '
    'watched, RC010 bad scope.';

revoke all on function recovery.work_processes(text, text, text) from public;
