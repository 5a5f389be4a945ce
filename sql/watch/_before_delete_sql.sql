create or replace function recovery._before_delete_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select recovery._render_sql($sql$
        declare
            v_move constant text := 'recovery.move_{id}_' || pg_trigger_depth();
            v_left constant text := 'recovery.left_{id}_' || pg_trigger_depth();
        begin
            if current_setting(v_move, true) = tg_relid || ' ' || old.ctid then
                perform set_config(v_move, 'moves', true),
                        set_config(v_left, (coalesce(nullif(current_setting(v_left, true), ''),
                            '0')::integer + 1)::text, true);
            end if;
            return old;
        end
        $sql$, jsonb_build_object('id', p_watch.id))
$function$;

comment on function recovery._before_delete_sql(recovery.watch) is
    'Body of the trigger function that counts rows on their way to another partition. See recovery._trigger_sql.';

revoke all on function recovery._before_delete_sql(recovery.watch) from public;
