create or replace function recovery._after_update_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_old constant text := recovery._realias_sql(p_watch.image, 'old');
    v_new constant text := recovery._realias_sql(p_watch.image, 'new');
begin
    return recovery._render_sql($sql$
        declare
            v_old  constant boolean := {was_open};
            v_new  constant boolean := {is_open};
            v_kind text;
        begin
            if v_old and v_new and new.server_epoch is not distinct from old.server_epoch then
                return null;  -- still open
            end if;
            v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;
            if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                      and v_old <> v_new and (v_new or new.server_epoch = old.server_epoch)
                      and current_setting('transaction_isolation') = 'read committed'
                     then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        {write_if_live}
            end if;
            if not found then
                perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old{and_own});
                if not v_old and not v_new then
                    return null;
                end if;
        {write}
            end if;
        {ring}
            return null;
        end
        $sql$, jsonb_build_object(
        'was_open', recovery._state_sql(p_watch, 'old'),
        'and_own', case when p_watch.owner is null then ''
            else ' and ' || recovery._named_owner_sql(p_watch, 'own') end,
        'is_open', recovery._state_sql(p_watch, 'new'),
        'write_if_live', recovery._event_sql(p_watch, 'new', 'v_kind', v_old, v_new, p_watch.diff, true),
        'write', recovery._event_sql(p_watch, 'new', 'v_kind', v_old, v_new, p_watch.diff, false),
        'ring', recovery._ring_sql(p_watch, 'v_kind')));
end
$function$;

comment on function recovery._after_update_sql(recovery.watch) is
    'Body of the trigger function that fences and tells rows that are opened, closed or adopted. See '
    'recovery._trigger_sql.';

revoke all on function recovery._after_update_sql(recovery.watch) from public;
