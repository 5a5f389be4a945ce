create or replace function recovery._before_update_sql(p_watch recovery.watch, p_moves boolean)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
            v_opens  boolean;
        begin
        {moves}
            if {was_open} then
        {handed}
                -- The NULL of an ORM that has not seen who owns the row says nothing.
                if new.server_epoch is null and v_writer is not null then
                    new.server_epoch := old.server_epoch;
                end if;
                return new;
            end if;
            v_opens := {is_open};
            if old.server_epoch < 0 then
                perform recovery._refuse_late_result(
                    old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
            end if;
        {opened}
            if v_opens then
                -- Ownership begins here. Who is no server leaves the owner that the row carries, and is refused if it
                -- has ended.
                if new.server_epoch is null
                    or new.server_epoch = old.server_epoch and (v_writer is not null or old.server_epoch < 0)
                then
                    new.server_epoch := v_writer;
                end if;
            else
                if new.server_epoch <> old.server_epoch or old.server_epoch is null then
                    new.server_epoch := old.server_epoch;
                end if;
                if v_writer is not null then
                    perform recovery._fence_write(null, false);
                end if;
            end if;
            return new;
        end
        $sql$, jsonb_build_object(
        'moves', case when p_moves then recovery._render_sql($sql$
            perform set_config('recovery.move_{id}_' || pg_trigger_depth(), tg_relid || ' ' || old.ctid, true),
                    set_config('recovery.move_{id}', 'on', true);
        $sql$, jsonb_build_object('id', p_watch.id)) else '' end,
        'handed', recovery._named_owner_sql(p_watch, 'handed'),
        'opened', recovery._named_owner_sql(p_watch, 'opened'),
        'was_open', recovery._state_sql(p_watch, 'old'),
        'is_open', case when recovery._is_decided_late(p_watch) then 'true'
                        else recovery._state_sql(p_watch, 'new') end));
end
$function$;

comment on function recovery._before_update_sql(recovery.watch, boolean) is
    'Body of the trigger function that keeps the owner of a row, and fences writes of closed ones. See '
    'recovery._trigger_sql.';

revoke all on function recovery._before_update_sql(recovery.watch, boolean) from public;
