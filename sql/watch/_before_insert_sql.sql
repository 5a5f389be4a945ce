create or replace function recovery._before_insert_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_move constant text := 'recovery.move_{id}_' || pg_trigger_depth();
        begin
        {moved}
        {named}
            new.server_epoch := case when {is_open} then coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
            return new;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'moved', case when p_moves then recovery._render_sql($sql$
            if current_setting(v_move, true) = 'moves' then
                perform set_config(v_move, '', true);
                return new;  -- from another partition, where before_update has seen it
            end if;
        $sql$, '{}') else '' end,
        'named', recovery._named_owner_sql(p_watch, 'inserted'),
        'is_open', case when recovery._is_decided_late(p_watch) then 'true'
                        else recovery._state_sql(p_watch, 'new') end));
end
$function$;

comment on function recovery._before_insert_sql(recovery.watch, boolean) is
    'Body of the trigger function that writes the owner into a new row. See recovery._trigger_sql.';

revoke all on function recovery._before_insert_sql(recovery.watch, boolean) from public;
