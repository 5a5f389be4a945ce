create or replace function recovery.trigger_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The body of the trigger function of one watch and one operation. It is generated, with the watch's
   expressions in place, because a general one would have to turn every row into json.

   All are AFTER triggers: they fence as well as BEFORE ones (an error aborts the write) without the extra
   lock on the tuple that a BEFORE UPDATE trigger takes even when its WHEN clause is false.

   The usual case, a live server that opens or closes its own row, is one expression, which takes the lock,
   and one statement, which writes the event only if the epoch lives. They are two on purpose: the
   statement's snapshot must be younger than the lock. Everything else is the branch behind `not found`.  */
declare
    v_row    text := case p_operation when 'delete' then 'old' else 'new' end;
    v_old    text := case when p_operation = 'insert' then 'null::jsonb' else recovery.realias(p_watch.image, 'old') end;
    v_new    text := case when p_operation = 'delete' then 'null::jsonb' else recovery.realias(p_watch.image, 'new') end;
    v_diff   boolean := p_watch.diff and p_operation = 'update';
    v_event  text;
    v_fast   text;
    v_slow   text;
    v_ring   text;
    v_own    constant text := $$(case when %1$s.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'%2$s
             then pg_advisory_xact_lock_shared(%1$s.server_epoch) is not null end)$$;
    v_live   constant text := format('recovery.server as s%s where s.epoch = %s.server_epoch and s.ended is null and s.pending is null and s.drain_until is null',
        case when v_diff then format(' cross join lateral recovery.changed(%s, %s) as d', v_old, v_new) else '' end, v_row);
begin
    if p_watch.events = 'closed' then
        v_fast := format('perform from %s;', v_live);
        v_slow := '';
        v_ring := '';
    else
        v_event := format($$insert into recovery.outbox_%s (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select %s.server_epoch, %L, v_kind, %L, %s, %s, nullif(current_setting('recovery.reason', true), ''), 'writer', %s$$,
            p_watch.outbox, v_row, p_watch.name, p_watch.topic, recovery.key_text(p_watch.key_columns, v_row),
            coalesce('(' || recovery.realias(p_watch.group_by, v_row) || ')::text', 'null'),
            case when v_diff then 'd.old, d.new' else v_old || ', ' || v_new end);
        v_fast := format(E'%s\n        from %s;', v_event, v_live);
        v_slow := E'\n        ' || v_event || case when v_diff then format(E'\n        from recovery.changed(%s, %s) as d', v_old, v_new) else '' end || ';';
        -- The bell: at most one NOTIFY in 20 ms, because NOTIFY serialises the commits of the whole cluster.
        v_ring := $$
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 20 then
        perform recovery.knock();
    end if;$$;
    end if;
    if p_operation <> 'update' then
        return format($body$declare
    v_kind constant text := %1$L;
begin
    if %2$s then
        %3$s
    end if;
    if not found then
        perform recovery.admit(%4$s);%5$s
    end if;%6$s
    return null;
end$body$,
            case p_operation when 'insert' then 'opened' else 'deleted' end, format(v_own, v_row, ''), v_fast,
            case p_operation when 'insert' then 'new.server_epoch, true' else 'null, false' end, v_slow, v_ring);
    end if;
    return format($body$declare
    v_old  boolean := (%1$s) is true;
    v_new  boolean := (%2$s) is true;
    v_kind text := 'closed';
begin
    if v_old and v_new and (new.server_epoch is not distinct from old.server_epoch or pg_trigger_depth() > 1 and current_setting('recovery.stamp', true) = 'on') then
        return null;  -- still open; or the stamp below, which is part of the transition that caused it
    end if;
    if %3$s then
        %4$s
    end if;
    if not found then
        perform recovery.refuse_late(old.server_epoch, new.server_epoch, tg_relid);
        if not v_old and v_new and recovery.writer() is not null and new.server_epoch is not distinct from old.server_epoch then
            -- Reopened by a server that did not write its epoch: the work is its own from here.
            perform recovery.admit(null, true);
            perform set_config('recovery.stamp', 'on', true);
            perform set_config('search_path', %8$L, true);  -- that of the host's writers, for its triggers
            execute format('update %%s as r set server_epoch = $1 where %5$s', coalesce(pg_partition_root(tg_relid), tg_relid)::regclass)
            using recovery.writer(), new;
            perform set_config('recovery.stamp', '', true);
            new.server_epoch := recovery.writer();
        else
            perform recovery.admit(case when v_new then new.server_epoch end, v_new and not v_old);
        end if;
        if not v_old and not v_new then
            return null;
        end if;
        v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;%6$s
    end if;%7$s
    return null;
end$body$,
        recovery.realias(p_watch.open, 'old'), recovery.realias(p_watch.open, 'new'),
        format(v_own, 'new', ' and new.server_epoch = old.server_epoch and v_old and not v_new'), v_fast,
        (select string_agg(replace(format('r.%1$I = ($2).%1$I', c.name), '''', ''''''), ' and ') from unnest(p_watch.key_columns) as c (name)),
        v_slow, v_ring, p_watch.path);
end
$function$;

comment on function recovery.trigger_sql(recovery.watch, text) is
    'Body of the trigger function of a watch for insert, update or delete: the fence, then the event, then the bell.';

revoke all on function recovery.trigger_sql(recovery.watch, text) from public;
