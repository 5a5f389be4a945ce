create or replace function recovery._operation_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_moves constant boolean := (select c.relkind = 'p' from pg_class as c where c.oid = p_watch.relation);
begin
    return case p_operation
        when 'before_insert' then recovery._before_insert_sql(p_watch, v_moves)
        when 'before_update' then recovery._before_update_sql(p_watch, v_moves)
        when 'before_delete' then recovery._before_delete_sql(p_watch)
        when 'insert' then recovery._after_insert_sql(p_watch, v_moves)
        when 'update' then recovery._after_update_sql(p_watch)
        when 'delete' then recovery._after_delete_sql(p_watch, v_moves)
        when 'truncate' then recovery._before_truncate_sql(p_watch)
    end;
end
$function$;

comment on function recovery._operation_sql(recovery.watch, text) is
    'What a trigger function of a watch does: the block that recovery._trigger_sql puts into it.';

revoke all on function recovery._operation_sql(recovery.watch, text) from public;
