create or replace function recovery._after_delete_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_image   constant text := recovery._realias_sql(p_watch.image, 'old');
    v_deleted constant text := $sql$'deleted'$sql$;
    v_moved   text := '';
begin
    if p_moves then
        v_moved := recovery._render_sql($sql$
            if coalesce(nullif(current_setting(v_left, true), ''), '0') <> '0' then
                perform set_config(v_left, (current_setting(v_left)::integer - 1)::text, true),
                        set_config('recovery.was_{id}_' || pg_trigger_depth(), jsonb_build_object(
                            'open', v_was, 'owner', old.server_epoch, 'image', {image}, 'key', {key})::text, true);
                return null;
            end if;
        $sql$, jsonb_build_object(
            'id', p_watch.id,
            'image', v_image,
            'key', case p_watch.events when 'closed' then 'null' else format(
                'case when v_was then %s end', recovery._row_key_sql(p_watch, 'old')) end));
    end if;
    return recovery._render_sql($sql$
        declare
            v_left constant text := 'recovery.left_{id}_' || pg_trigger_depth();
            v_was  constant boolean := {was_open};
        begin
            if not v_was then
                perform recovery._fence_write(null, false);
            else
                if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                          and current_setting('transaction_isolation') = 'read committed'
                         then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        {write_if_live}
                end if;
                if not found then
                    perform recovery._fence_write(null, false);
        {write}
                end if;
            end if;
        {moved}
            if not v_was then
                return null;
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'was_open', recovery._state_sql(p_watch, 'old'),
        'write_if_live', recovery._event_sql(p_watch, 'old', v_deleted, v_image, 'null::jsonb', false, true),
        'write', recovery._event_sql(p_watch, 'old', v_deleted, v_image, 'null::jsonb', false, false),
        'moved', v_moved,
        'ring', recovery._ring_sql(p_watch, v_deleted)));
end
$function$;

comment on function recovery._after_delete_sql(recovery.watch, boolean) is
    'Body of the trigger function that fences and tells open rows that are deleted. See recovery._trigger_sql.';

revoke all on function recovery._after_delete_sql(recovery.watch, boolean) from public;
