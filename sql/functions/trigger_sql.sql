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
   lock on the tuple that a BEFORE UPDATE trigger takes even when its WHEN clause is false.            */
declare
    v_row   text := case p_operation when 'delete' then 'old' else 'new' end;
    v_open  text := format('(%s) is true', p_watch.open);
    v_old   text := case when p_operation = 'insert' then 'null::jsonb' else recovery.realias(p_watch.image, 'old') end;
    v_new   text := case when p_operation = 'delete' then 'null::jsonb' else recovery.realias(p_watch.image, 'new') end;
    v_fence text;
    v_event text;
    v_values text;
    v_insert text;
begin
    v_fence := format($fence$
    -- The writer: its epoch must be live. The fast path of recovery.assert_live, in two statements.
    if v_writer is not null then
        if current_setting('transaction_isolation') = 'read committed' then
            perform pg_advisory_xact_lock_shared(v_writer);
            perform from recovery.server as s where s.epoch = v_writer and s.ended is null and s.pending is null and s.drain_until is null;
            if not found then
                perform recovery.%1$s(v_writer);
            end if;
        else
            perform recovery.%1$s(v_writer);
        end if;
    end if;$fence$, case p_operation when 'insert' then 'assert_accepting' else 'assert_live' end);
    if p_operation <> 'delete' then
        v_fence := v_fence || format($fence$
    -- The owner: work may not be opened under, or given to, an epoch that has ended.
    if %1$snew.server_epoch is distinct from v_writer and new.server_epoch is not null then
        %2$s
    end if;$fence$,
            case when p_operation = 'update' then 'v_new and ' else '' end,
            case when p_operation = 'update' then format($stamp$if not v_old and v_writer is not null and new.server_epoch is not distinct from old.server_epoch then
            -- Reopened by a server that did not write its epoch: the work is its own from here.
            perform set_config('recovery.stamp', 'on', true);
            execute format('update %%s as r set server_epoch = $1 where %s', tg_relid::regclass) using v_writer, new;
            perform set_config('recovery.stamp', '', true);
            new.server_epoch := v_writer;
        else
            perform recovery.assert_live(new.server_epoch);
        end if;$stamp$, (
                select string_agg(replace(format('r.%1$I = ($2).%1$I', c.name), '''', ''''''), ' and ') from unnest(p_watch.key_columns) as c (name)))
            else 'perform recovery.assert_live(new.server_epoch);' end);
    end if;
    if p_operation = 'update' then
        v_fence := replace(v_fence, 'new.server_epoch is not null then
        if not v_old', '(new.server_epoch is not null or v_writer is not null and not v_old) then
        if not v_old') || $fence$
    if v_new and not v_old and v_writer is not null then
        perform recovery.assert_accepting(v_writer);
    end if;
    if v_old and v_new then
        if new.server_epoch is not distinct from old.server_epoch then
            return null;
        end if;
        v_kind := 'adopted';
    elsif v_old then
        v_kind := 'closed';
    elsif v_new then
        v_kind := 'reopened';
    else
        return null;
    end if;$fence$;
    end if;
    -- The columns of an event; a select, so that it can also ask whether the writer lives.
    v_values := case when p_watch.diff and p_operation = 'update'
        then format($$%1$s.server_epoch, %2$L, v_kind, %3$L, %4$s, %5$s, nullif(current_setting('recovery.reason', true), ''), 'writer', d.old, d.new
        from recovery.changed(%6$s, %7$s) as d$$,
            v_row, p_watch.name, p_watch.topic, recovery.key_text(p_watch.key_columns, v_row),
            coalesce('(' || recovery.realias(p_watch.group_by, v_row) || ')::text', 'null'), v_old, v_new)
        else format($$%1$s.server_epoch, %2$L, v_kind, %3$L, %4$s, %5$s, nullif(current_setting('recovery.reason', true), ''), 'writer', %6$s, %7$s
        from (values (1)) as d$$,
            v_row, p_watch.name, p_watch.topic, recovery.key_text(p_watch.key_columns, v_row),
            coalesce('(' || recovery.realias(p_watch.group_by, v_row) || ')::text', 'null'), v_old, v_new) end;
    if p_watch.events = 'closed' then
        v_event := '';
    else
        v_insert := 'insert into recovery.event (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select ' || v_values;
        v_event := format($event$
    -- The bell: at most one NOTIFY in 20 ms, because NOTIFY serialises the commits of the whole cluster.
    v_now := (date_part('epoch', clock_timestamp()) * 1000)::bigint;
    if v_now - coalesce(pg_sequence_last_value('recovery.bell_time'), 0) not between 0 and 19 and current_setting('recovery.notify', true) is distinct from 'off' then
        perform setval('recovery.bell_time', v_now);
        perform pg_notify('recovery', format('{"from": %%1$s, "to": %%1$s, "count": 1, "events": [{"id": %%1$s, "kind": "%%2$s"}]}', v_id, v_kind));
    end if;$event$);
        -- The usual case, a live server and its own row, in one statement: the event is written only if
        -- the writer lives. The lock is taken before, by an assignment, which is cheaper than a statement.
        v_fence := format($fast$
    if v_writer = %1$s.server_epoch%2$s and current_setting('transaction_isolation') = 'read committed' then
        v_void := pg_advisory_xact_lock_shared(v_writer)::text;
        %3$s
        cross join recovery.server as s
        where s.epoch = v_writer and s.ended is null and s.pending is null and s.drain_until is null
        returning id into v_id;
    end if;
    if v_id is null then%4$s
        %5$s
        returning id into v_id;
    end if;$fast$,
            v_row,
            case when p_operation = 'update' then ' and v_old and not v_new and new.server_epoch is not distinct from old.server_epoch' else '' end,
            case when p_operation = 'update' then $$v_kind := 'closed';
        $$ else '' end || v_insert,
            replace(v_fence, E'\n', E'\n    '), v_insert);
    end if;
    -- The stamp's own update is part of the transition that caused it.
    if p_operation = 'update' then
        v_fence := $stamp$
    if v_old and v_new and current_setting('recovery.stamp', true) = 'on' then
        return null;
    end if;
    -- Closed under its owner, by a timeout or an operator: the owner's late result comes too late.
    if v_writer = -old.server_epoch and new.server_epoch = old.server_epoch then
        perform recovery.revoked(v_writer, tg_relid);
    end if;$stamp$ || v_fence;
    end if;
    return format($body$declare
    v_writer bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_kind   text := %1$L;%2$s
    v_id     bigint;
    v_now    bigint;
    v_void   text;
begin%3$s%4$s
    return null;
end$body$,
        case p_operation when 'insert' then 'opened' when 'delete' then 'deleted' end,
        case when p_operation = 'update' then format('
    v_old    boolean := %s;
    v_new    boolean := %s;', recovery.realias(v_open, 'old'), recovery.realias(v_open, 'new')) else '' end,
        v_fence, v_event);
end
$function$;

comment on function recovery.trigger_sql(recovery.watch, text) is
    'Body of the trigger function of a watch for insert, update or delete: the fence, then the event, then the bell.';

revoke all on function recovery.trigger_sql(recovery.watch, text) from public;
