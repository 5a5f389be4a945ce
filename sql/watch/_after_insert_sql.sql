create or replace function recovery._after_insert_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_image  constant text := recovery._realias_sql(p_watch.image, 'new');
    v_opened constant text := $sql$'opened'$sql$;
    v_moved  text := '';
begin
    if p_moves then
        v_moved := recovery._render_sql($sql$
            if nullif(current_setting(v_left, true), '') is not null then
                v_was := current_setting(v_left, true);
                perform set_config(v_left, '', true), recovery._withdraw_deletion({watch!l}, v_was ->> 'key');
                v_old := (v_was ->> 'open')::boolean;
                v_new := {is_open};
                if v_old and v_new and new.server_epoch is not distinct from (v_was ->> 'owner')::bigint
                    or not v_old and not v_new
                then
                    return null;
                end if;
                perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old{and_own});
                v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;
        {write}
            {ring}
                return null;
            end if;
        $sql$, jsonb_build_object(
            'watch', p_watch.name,
            'and_own', case when p_watch.owner is null then ''
                else ' and ' || recovery._named_owner_sql(p_watch, 'own') end,
            'is_open', recovery._state_sql(p_watch, 'new'),
            'write', recovery._event_sql(p_watch, 'new', 'v_kind', $sql$v_was -> 'image'$sql$, v_image, p_watch.diff,
                false),
            'ring', recovery._ring_sql(p_watch, 'v_kind')));
    end if;
    return recovery._render_sql($sql$
        declare
            v_left constant text := 'recovery.was_{id}_' || pg_trigger_depth();
            v_was  jsonb;
            v_old  boolean;
            v_new  boolean;
            v_kind text;
        begin
        {moved}
            if not ({is_open}) then
                return null;
            end if;
            if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                      and current_setting('transaction_isolation') = 'read committed'
                     then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        {write_if_live}
            end if;
            if not found then
                perform recovery._fence_write(new.server_epoch, {own});
        {write}
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'id', p_watch.id,
        'moved', v_moved,
        'own', recovery._named_owner_sql(p_watch, 'own'),
        'is_open', recovery._state_sql(p_watch, 'new'),
        'write_if_live', recovery._event_sql(p_watch, 'new', v_opened, 'null::jsonb', v_image, false, true),
        'write', recovery._event_sql(p_watch, 'new', v_opened, 'null::jsonb', v_image, false, false),
        'ring', recovery._ring_sql(p_watch, v_opened)));
end
$function$;

comment on function recovery._after_insert_sql(recovery.watch, boolean) is
    'Body of the trigger function that fences and tells open rows that are new, or come from another partition. '
    'See recovery._trigger_sql.';

revoke all on function recovery._after_insert_sql(recovery.watch, boolean) from public;
