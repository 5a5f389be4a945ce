create or replace function recovery._named_owner_sql(p_watch recovery.watch, p_part text)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
    select case when p_watch.owner is null then case p_part when 'own' then 'true' else '' end else case p_part
        when 'inserted' then recovery._render_sql($sql$
            if new.server_epoch is null and nullif({new}, '') is not null and {is_open} then
                new.server_epoch := recovery._live_epoch({new});
                return new;
            end if;
        $sql$, jsonb_build_object('is_open', s.is_open, 'new', s.new))
        when 'opened' then recovery._render_sql($sql$
            if v_opens and (new.server_epoch is null or new.server_epoch = old.server_epoch) then
                new.server_epoch := case when nullif({new}, '') is null then v_writer
                    else recovery._live_epoch({new}) end;
                return new;
            end if;
        $sql$, jsonb_build_object('new', s.new))
        when 'handed' then recovery._render_sql($sql$
                if {new} is distinct from {old} and new.server_epoch is not distinct from old.server_epoch
                    and {is_open}
                then
                    new.server_epoch := case when nullif({new}, '') is null then v_writer
                        else recovery._live_epoch({new}) end;
                    return new;
                end if;
        $sql$, jsonb_build_object('new', s.new, 'old', s.old, 'is_open', s.is_open))
        -- Work that is opened for another server is not the writer's, who may drain.
        when 'own' then format('(nullif(%s, %L) is null or new.server_epoch = recovery._writer_epoch()) is true',
            s.new, '') end
    end
    from (select
        format('(%s)', recovery._realias_sql(p_watch.owner, 'new')) as new,
        format('(%s)', recovery._realias_sql(p_watch.owner, 'old')) as old,
        case when recovery._is_decided_late(p_watch) then 'true' else recovery._state_sql(p_watch, 'new') end as is_open
    ) as s
$function$;

comment on function recovery._named_owner_sql(recovery.watch, text) is
    'Where the row says whose it is, the parts of the trigger functions that write the owner, for a row that is '
    'inserted open, opened, handed over; own: whether new work is the writer''s own. Nothing for other watches.';

revoke all on function recovery._named_owner_sql(recovery.watch, text) from public;
