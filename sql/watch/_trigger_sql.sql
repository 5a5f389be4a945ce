create or replace function recovery._trigger_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The body of the trigger function of one watch and one operation. It is generated, with the watch's
   expressions in place, because a general one would have to turn every row into json.

   BEFORE triggers write the owner into the row and fence closed rows. They decide nothing that must hold for the
   row as it is in the end: an insert may come to nothing (on conflict), a later trigger of the host may change it.
   AFTER triggers fence what opens and closes work, and write the event.

   The usual case, a live server that opens or closes its own row, is one expression, which takes the lock,
   and one statement, which writes the event only if the epoch lives. They are two on purpose: the
   statement's snapshot must be younger than the lock. Everything else is the branch behind `not found`.

   A row that changes its partition fires BEFORE UPDATE, DELETE and INSERT one after the other, and at the end of
   the statement AFTER DELETE and INSERT, in the order of the rows. So the first three tell each other by settings
   of the transaction which row moves, and count the rows that do; AFTER DELETE leaves what was to AFTER INSERT,
   which tells the two as the update that they are. The settings are named by the depth of triggers: statements in
   triggers of the host come between. Anybody can set them, so nothing is left out because of them before the
   insert is there: AFTER DELETE fences and says what it says of every row, AFTER INSERT takes that back.       */
declare
    v_move   constant boolean := (select c.relkind = 'p' from pg_class as c where c.oid = p_watch.relation);
    v_late   constant boolean := recovery._is_decided_late(p_watch);
    v_was    constant text := format('(%s) is true', recovery._realias_sql(p_watch.open, 'old'));
    v_is     constant text := format('(%s) is true', recovery._realias_sql(p_watch.open, 'new'));
    v_writer constant text := $$nullif(current_setting('recovery.server_epoch', true), '')::bigint$$;
    v_row    constant text := case p_operation when 'delete' then 'old' when 'truncate' then 'r' else 'new' end;
    v_old    constant text := case p_operation when 'insert' then 'null::jsonb' when 'truncate' then p_watch.image else recovery._realias_sql(p_watch.image, 'old') end;
    v_new    constant text := case when p_operation in ('delete', 'truncate') then 'null::jsonb' else recovery._realias_sql(p_watch.image, 'new') end;
    v_diff   constant boolean := p_watch.diff and p_operation = 'update';
    v_insert text;
    v_values text;
    v_event  text;
    v_fast   text;
    v_slow   text := '';
    v_ring   text := '';
    v_moved  text := '';
    v_own    constant text := $$(case when %s and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(%s.server_epoch) is not null end)$$;
    v_live   constant text := format('recovery.server as s%s where s.epoch = %s.server_epoch and s.ended is null and s.pending is null and s.drain_until is null',
        case when v_diff then format(' cross join lateral recovery._json_difference(%s, %s) as d', v_old, v_new) else '' end, v_row);
begin
    case p_operation
        when 'before_insert' then
            return format($body$declare
    v_move constant text := 'recovery.move_%1$s_' || pg_trigger_depth();
begin%2$s
    new.server_epoch := case when %3$s then coalesce(new.server_epoch, %4$s) end;
    return new;
end$body$,
                p_watch.id, case when v_move then $$
    if current_setting(v_move, true) = 'moves' then
        perform set_config(v_move, '', true);
        return new;  -- from another partition, where before_update has seen it
    end if;$$ else '' end, case when v_late then 'true' else v_is end, v_writer);
        when 'before_update' then
            return format($body$declare
    v_writer constant bigint := %1$s;
    v_opens  boolean;
begin%2$s
    if %3$s then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := %4$s;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
    if v_opens then
        -- Ownership begins here. Who is no server leaves the owner that the row carries, and is refused if it has ended.
        if new.server_epoch is null or new.server_epoch = old.server_epoch and (v_writer is not null or old.server_epoch < 0) then
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
end$body$,
                v_writer, case when v_move then format($$
    perform set_config('recovery.move_%1$s_' || pg_trigger_depth(), tg_relid || ' ' || old.ctid, true),
            set_config('recovery.move_%1$s', 'on', true);$$, p_watch.id) else '' end,
                v_was, case when v_late then 'true' else v_is end);
        when 'before_delete' then
            return format($body$declare
    v_move constant text := 'recovery.move_%1$s_' || pg_trigger_depth();
    v_left constant text := 'recovery.left_%1$s_' || pg_trigger_depth();
begin
    if current_setting(v_move, true) = tg_relid || ' ' || old.ctid then
        perform set_config(v_move, 'moves', true),
                set_config(v_left, (coalesce(nullif(current_setting(v_left, true), ''), '0')::integer + 1)::text, true);
    end if;
    return old;
end$body$, p_watch.id);
        else
            null;
    end case;
    if p_watch.events = 'closed' then
        v_fast := format('perform from %s;', v_live);
    else
        v_insert := format(E'insert into recovery.outbox_%s (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)\n        select %s.server_epoch, %L, ',
            p_watch.outbox, v_row, p_watch.name);
        v_values := format($$, %L, %s, %s, nullif(current_setting('recovery.reason', true), ''), 'writer', $$,
            p_watch.topic, recovery._key_text(p_watch.key_columns, v_row),
            coalesce('(' || recovery._realias_sql(p_watch.group_by, v_row) || ')::text', 'null'));
        v_event := v_insert || case p_operation when 'insert' then $$'opened'$$ when 'update' then 'v_kind' else $$'deleted'$$ end || v_values
            || case when v_diff then 'd.old, d.new' else v_old || ', ' || v_new end;
        v_fast := format(E'%s\n        from %s;', v_event, v_live);
        v_slow := E'\n        ' || v_event || case when v_diff then format(E'\n        from recovery._json_difference(%s, %s) as d', v_old, v_new) else '' end || ';';
        -- The bell: at most one NOTIFY in 20 ms, because NOTIFY serialises the commits of the whole cluster.
        v_ring := $$
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 20 then
        perform recovery._announce_written();
    end if;$$;
    end if;
    case p_operation
        when 'insert' then
            if v_move then
                v_moved := format($$
    if nullif(current_setting(v_left, true), '') is not null then
        v_was := current_setting(v_left, true);
        perform set_config(v_left, '', true), recovery._withdraw_deletion(%3$L, v_was ->> 'key');
        v_old := (v_was ->> 'open')::boolean;
        v_new := %1$s;
        if v_old and v_new and new.server_epoch is not distinct from (v_was ->> 'owner')::bigint or not v_old and not v_new then
            return null;
        end if;
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;%2$s
        return null;
    end if;$$,
                    v_is,
                    coalesce(E'\n        ' || v_insert || 'v_kind' || v_values
                    || case when p_watch.diff then format($$d.old, d.new from recovery._json_difference(v_was -> 'image', %s) as d$$, v_new)
                            else $$v_was -> 'image', $$ || v_new end || ';' || v_ring, ''), p_watch.name);
            end if;
            return format($body$declare
    v_left constant text := 'recovery.was_%1$s_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin%2$s
    if not (%3$s) then
        return null;
    end if;
    if %4$s then
        %5$s
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);%6$s
    end if;%7$s
    return null;
end$body$,
                p_watch.id, v_moved, v_is, format(v_own, 'new.server_epoch = ' || v_writer, 'new'), v_fast, v_slow, v_ring);
        when 'delete' then
            if v_move then
                v_moved := format($$
    if coalesce(nullif(current_setting(v_left, true), ''), '0') <> '0' then
        perform set_config(v_left, (current_setting(v_left)::integer - 1)::text, true),
                set_config('recovery.was_%1$s_' || pg_trigger_depth(),
                    jsonb_build_object('open', v_was, 'owner', old.server_epoch, 'image', %2$s, 'key', %3$s)::text, true);
        return null;
    end if;$$, p_watch.id, v_old, case when v_event is null then 'null' else format('case when v_was then %s end', recovery._key_text(p_watch.key_columns, 'old')) end);
            end if;
            return format($body$declare
    v_left constant text := 'recovery.left_%1$s_' || pg_trigger_depth();
    v_was  constant boolean := %2$s;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if %3$s then
            %4$s
        end if;
        if not found then
            perform recovery._fence_write(null, false);%5$s
        end if;
    end if;%6$s
    if not v_was then
        return null;
    end if;%7$s
    return null;
end$body$,
                p_watch.id, v_was, format(v_own, 'old.server_epoch = ' || v_writer, 'old'), v_fast, v_slow, v_moved, v_ring);
        when 'truncate' then
            return format($body$begin
    if %1$s is not null then
        perform recovery.assert_live(%1$s);
    end if;%2$s
    return null;
end$body$,
                v_writer, case when v_event is null then '' else format($$
    begin
        %1$s
        from %2$s as r where %3$s;
        if found then
            perform recovery._announce_written();
        end if;
    exception when others then
        raise warning 'recovery: the rows of %% that were open leave no event: %%', tg_relid::regclass, sqlerrm;
    end;$$, v_event, p_watch.relation, p_watch.open) end);
        else
            return format($body$declare
    v_old  constant boolean := %1$s;
    v_new  constant boolean := %2$s;
    v_kind text;
begin
    if v_old and v_new and new.server_epoch is not distinct from old.server_epoch then
        return null;  -- still open
    end if;
    v_kind := case when not v_new then 'closed' when v_old then 'adopted' else 'reopened' end;
    if %3$s then
        %4$s
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;%5$s
    end if;%6$s
    return null;
end$body$,
                v_was, v_is,
                format(v_own, 'new.server_epoch = ' || v_writer || ' and v_old <> v_new and (v_new or new.server_epoch = old.server_epoch)', 'new'),
                v_fast, v_slow, v_ring);
    end case;
end
$function$;

comment on function recovery._trigger_sql(recovery.watch, text) is
    'Body of a trigger function of a watch: before_insert, before_update, before_delete: the owner, and the fence of closed rows; insert, update, delete, truncate: the fence, then the event, then the bell.';

revoke all on function recovery._trigger_sql(recovery.watch, text) from public;
