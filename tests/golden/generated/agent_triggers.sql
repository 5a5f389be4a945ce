-- Generated from the watches of agent. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py

-- agent.hold: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_move constant text := 'recovery.move_5_' || pg_trigger_depth();
begin
    new.server_epoch := case when ((new.time_ended IS NULL)) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(5, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_5_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(5, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return new;
    end;
end;

-- agent.hold: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if ((old.time_ended IS NULL)) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := ((new.time_ended IS NULL)) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(5, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(5, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(5, 'open', new.*)::boolean) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return new;
    end;
end;

-- agent.hold: delete
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_left constant text := 'recovery.left_5_' || pg_trigger_depth();
    v_was  constant boolean := ((old.time_ended IS NULL)) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.hold', 'deleted', 'hold.ended', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_ended', old.time_ended), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.hold', 'deleted', 'hold.ended', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_ended', old.time_ended), null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.left_5_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(5, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.hold', 'deleted', 'hold.ended', recovery._stale_value(5, 'key', old.*), (recovery._stale_value(5, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(5, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.hold', 'deleted', 'hold.ended', recovery._stale_value(5, 'key', old.*), (recovery._stale_value(5, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(5, 'image', old.*)::jsonb, null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return null;
    end;
end;

-- agent.hold: index
CREATE INDEX recovery_open_5 ON agent.hold USING btree (server_epoch, session_id, id) WHERE (time_ended IS NULL);

-- agent.hold: insert
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_left constant text := 'recovery.was_5_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not (((new.time_ended IS NULL)) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', 'opened', 'hold.ended', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('time_ended', new.time_ended)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', 'opened', 'hold.ended', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('time_ended', new.time_ended);
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.was_5_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(5, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', 'opened', 'hold.ended', recovery._stale_value(5, 'key', new.*), (recovery._stale_value(5, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(5, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', 'opened', 'hold.ended', recovery._stale_value(5, 'key', new.*), (recovery._stale_value(5, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(5, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return null;
    end;
end;

-- agent.hold: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON agent.hold FOR EACH ROW WHEN ((new.time_ended IS NULL)) EXECUTE FUNCTION recovery.watch_5_insert();

-- agent.hold: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE OF time_ended, server_epoch ON agent.hold FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_5_update();

-- agent.hold: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON agent.hold FOR EACH ROW WHEN (((old.time_ended IS NULL) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_5_delete();

-- agent.hold: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON agent.hold FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_5_truncate();

-- agent.hold: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON agent.hold FOR EACH ROW WHEN (((new.time_ended IS NULL) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_5_before_insert();

-- agent.hold: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON agent.hold FOR EACH ROW WHEN (((old.time_ended IS NULL) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_5_before_update();

-- agent.hold: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON agent.hold FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND (old.time_ended IS NULL) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_5_before_update();

-- agent.hold: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.hold'', ''deleted'', ''hold.ended'', (r.id)::text, (r.session_id)::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_build_object(''time_ended'', r.time_ended), null::jsonb
        from @TABLE@ as r where (r.time_ended IS NULL);', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.hold', 'gap', 'hold.ended', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.hold'', ''deleted'', ''hold.ended'', recovery._stale_value(5, ''key'', r.*), (recovery._stale_value(5, ''group'', r.*))::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(5, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(5, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.hold', 'gap', 'hold.ended', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return null;
    end;
end;

-- agent.hold: update
begin
    if recovery._has_names('<table>'::regclass, 'column id, column session_id, column time_created, column time_ended') then
declare
    v_old  constant boolean := ((old.time_ended IS NULL)) is true;
    v_new  constant boolean := ((new.time_ended IS NULL)) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', v_kind, 'hold.ended', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_ended', old.time_ended), jsonb_build_object('time_ended', new.time_ended)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', v_kind, 'hold.ended', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_ended', old.time_ended), jsonb_build_object('time_ended', new.time_ended);
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_old  constant boolean := (recovery._stale_value(5, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(5, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', v_kind, 'hold.ended', recovery._stale_value(5, 'key', new.*), (recovery._stale_value(5, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(5, 'image', old.*)::jsonb, recovery._stale_value(5, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.hold', v_kind, 'hold.ended', recovery._stale_value(5, 'key', new.*), (recovery._stale_value(5, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(5, 'image', old.*)::jsonb, recovery._stale_value(5, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.hold', sqlerrm;
        return null;
    end;
end;

-- agent.message: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_move constant text := 'recovery.move_2_' || pg_trigger_depth();
begin
    new.server_epoch := case when ((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(2, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_2_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(2, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return new;
    end;
end;

-- agent.message: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if ((((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := ((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(2, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(2, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(2, 'open', new.*)::boolean) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return new;
    end;
end;

-- agent.message: delete
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_left constant text := 'recovery.left_2_' || pg_trigger_depth();
    v_was  constant boolean := ((((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.message', 'deleted', 'message.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'error', (old.data -> 'error'::text), 'finish', (old.data -> 'finish'::text)))), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.message', 'deleted', 'message.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'error', (old.data -> 'error'::text), 'finish', (old.data -> 'finish'::text)))), null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.left_2_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(2, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.message', 'deleted', 'message.updated', recovery._stale_value(2, 'key', old.*), (recovery._stale_value(2, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(2, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.message', 'deleted', 'message.updated', recovery._stale_value(2, 'key', old.*), (recovery._stale_value(2, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(2, 'image', old.*)::jsonb, null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return null;
    end;
end;

-- agent.message: index
CREATE INDEX recovery_open_2 ON agent.message USING btree (server_epoch, session_id, id) WHERE (((data ->> 'role'::text) = 'assistant'::text) AND (((data -> 'time'::text) ->> 'completed'::text) IS NULL));

-- agent.message: index
CREATE INDEX recovery_started_2 ON agent.message USING btree (to_timestamp((((time_created)::numeric / 1000.0))::double precision)) WHERE (((data ->> 'role'::text) = 'assistant'::text) AND (((data -> 'time'::text) ->> 'completed'::text) IS NULL) AND (to_timestamp((((time_created)::numeric / 1000.0))::double precision) IS NOT NULL));

-- agent.message: insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_left constant text := 'recovery.was_2_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not (((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', 'opened', 'message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'error', (new.data -> 'error'::text), 'finish', (new.data -> 'finish'::text))))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', 'opened', 'message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'error', (new.data -> 'error'::text), 'finish', (new.data -> 'finish'::text))));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.was_2_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(2, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', 'opened', 'message.updated', recovery._stale_value(2, 'key', new.*), (recovery._stale_value(2, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(2, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', 'opened', 'message.updated', recovery._stale_value(2, 'key', new.*), (recovery._stale_value(2, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(2, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return null;
    end;
end;

-- agent.message: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON agent.message FOR EACH ROW WHEN ((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL))) EXECUTE FUNCTION recovery.watch_2_insert();

-- agent.message: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE ON agent.message FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_2_update();

-- agent.message: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON agent.message FOR EACH ROW WHEN (((((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_2_delete();

-- agent.message: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON agent.message FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_2_truncate();

-- agent.message: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON agent.message FOR EACH ROW WHEN (((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_2_before_insert();

-- agent.message: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON agent.message FOR EACH ROW WHEN (((((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_2_before_update();

-- agent.message: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON agent.message FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND (((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_2_before_update();

-- agent.message: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.message'', ''deleted'', ''message.updated'', (r.id)::text, (r.session_id)::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_strip_nulls(jsonb_build_object(''time_updated'', r.time_updated, ''data'', jsonb_build_object(''time'', (r.data -> ''time''::text), ''error'', (r.data -> ''error''::text), ''finish'', (r.data -> ''finish''::text)))), null::jsonb
        from @TABLE@ as r where (((r.data ->> ''role''::text) = ''assistant''::text) AND (((r.data -> ''time''::text) ->> ''completed''::text) IS NULL));', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.message', 'gap', 'message.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.message'', ''deleted'', ''message.updated'', recovery._stale_value(2, ''key'', r.*), (recovery._stale_value(2, ''group'', r.*))::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(2, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(2, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.message', 'gap', 'message.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return null;
    end;
end;

-- agent.message: update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column message_id, column session_id, column time_created, column time_updated, column time_updated, function agent.held_until, function agent.is_held, function agent.object_of, relation agent.part') then
declare
    v_old  constant boolean := ((((old.data ->> 'role'::text) = 'assistant'::text) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true;
    v_new  constant boolean := ((((new.data ->> 'role'::text) = 'assistant'::text) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL))) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', v_kind, 'message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'error', (old.data -> 'error'::text), 'finish', (old.data -> 'finish'::text)))), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'error', (new.data -> 'error'::text), 'finish', (new.data -> 'finish'::text))))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', v_kind, 'message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'error', (old.data -> 'error'::text), 'finish', (old.data -> 'finish'::text)))), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'error', (new.data -> 'error'::text), 'finish', (new.data -> 'finish'::text))));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_old  constant boolean := (recovery._stale_value(2, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(2, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', v_kind, 'message.updated', recovery._stale_value(2, 'key', new.*), (recovery._stale_value(2, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(2, 'image', old.*)::jsonb, recovery._stale_value(2, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.message', v_kind, 'message.updated', recovery._stale_value(2, 'key', new.*), (recovery._stale_value(2, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(2, 'image', old.*)::jsonb, recovery._stale_value(2, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.message', sqlerrm;
        return null;
    end;
end;

-- agent.part: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_move constant text := 'recovery.move_1_' || pg_trigger_depth();
begin
    new.server_epoch := case when (((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(1, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_1_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(1, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return new;
    end;
end;

-- agent.part: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(1, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(1, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(1, 'open', new.*)::boolean) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return new;
    end;
end;

-- agent.part: delete
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_left constant text := 'recovery.left_1_' || pg_trigger_depth();
    v_was  constant boolean := (((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.part', 'deleted', 'message.part.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data',
        CASE
            WHEN ((old.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((old.data -> 'state'::text) -> 'status'::text), 'error', ((old.data -> 'state'::text) -> 'error'::text), 'time', ((old.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((old.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((old.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (old.data -> 'time'::text))
        END)), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.part', 'deleted', 'message.part.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data',
        CASE
            WHEN ((old.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((old.data -> 'state'::text) -> 'status'::text), 'error', ((old.data -> 'state'::text) -> 'error'::text), 'time', ((old.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((old.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((old.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (old.data -> 'time'::text))
        END)), null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.left_1_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(1, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.part', 'deleted', 'message.part.updated', recovery._stale_value(1, 'key', old.*), (recovery._stale_value(1, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(1, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.part', 'deleted', 'message.part.updated', recovery._stale_value(1, 'key', old.*), (recovery._stale_value(1, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(1, 'image', old.*)::jsonb, null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return null;
    end;
end;

-- agent.part: index
CREATE INDEX recovery_open_1 ON agent.part USING btree (server_epoch, session_id, id) WHERE ((((data ->> 'type'::text) = 'tool'::text) AND (((data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((data -> 'time'::text) ->> 'end'::text) IS NULL)));

-- agent.part: index
CREATE INDEX recovery_started_1 ON agent.part USING btree (to_timestamp((((time_created)::numeric / 1000.0))::double precision)) WHERE (((((data ->> 'type'::text) = 'tool'::text) AND (((data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((data -> 'time'::text) ->> 'end'::text) IS NULL))) AND (to_timestamp((((time_created)::numeric / 1000.0))::double precision) IS NOT NULL));

-- agent.part: insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_left constant text := 'recovery.was_1_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', 'opened', 'message.part.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data',
        CASE
            WHEN ((new.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((new.data -> 'state'::text) -> 'status'::text), 'error', ((new.data -> 'state'::text) -> 'error'::text), 'time', ((new.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((new.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((new.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (new.data -> 'time'::text))
        END))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', 'opened', 'message.part.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data',
        CASE
            WHEN ((new.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((new.data -> 'state'::text) -> 'status'::text), 'error', ((new.data -> 'state'::text) -> 'error'::text), 'time', ((new.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((new.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((new.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (new.data -> 'time'::text))
        END));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.was_1_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(1, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', 'opened', 'message.part.updated', recovery._stale_value(1, 'key', new.*), (recovery._stale_value(1, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(1, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', 'opened', 'message.part.updated', recovery._stale_value(1, 'key', new.*), (recovery._stale_value(1, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(1, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return null;
    end;
end;

-- agent.part: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON agent.part FOR EACH ROW WHEN (((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL)))) EXECUTE FUNCTION recovery.watch_1_insert();

-- agent.part: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE ON agent.part FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_1_update();

-- agent.part: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON agent.part FOR EACH ROW WHEN (((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL)) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_1_delete();

-- agent.part: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON agent.part FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_1_truncate();

-- agent.part: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON agent.part FOR EACH ROW WHEN ((((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL))) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_1_before_insert();

-- agent.part: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON agent.part FOR EACH ROW WHEN ((((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL))) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_1_before_update();

-- agent.part: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON agent.part FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND ((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL))) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_1_before_update();

-- agent.part: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.part'', ''deleted'', ''message.part.updated'', (r.id)::text, (r.session_id)::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_strip_nulls(jsonb_build_object(''time_updated'', r.time_updated, ''data'',
        CASE
            WHEN ((r.data ->> ''type''::text) = ''tool''::text) THEN jsonb_build_object(''state'', jsonb_build_object(''status'', ((r.data -> ''state''::text) -> ''status''::text), ''error'', ((r.data -> ''state''::text) -> ''error''::text), ''time'', ((r.data -> ''state''::text) -> ''time''::text), ''metadata'',
            CASE
                WHEN (jsonb_typeof(((r.data -> ''state''::text) -> ''metadata''::text)) = ''object''::text) THEN jsonb_build_object(''interrupted'', (((r.data -> ''state''::text) -> ''metadata''::text) -> ''interrupted''::text), ''sessionId'', (((r.data -> ''state''::text) -> ''metadata''::text) -> ''sessionId''::text), ''output'', "substring"("right"((((r.data -> ''state''::text) -> ''metadata''::text) ->> ''output''::text), 400), ''<shell_metadata>.*$''::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object(''time'', (r.data -> ''time''::text))
        END)), null::jsonb
        from @TABLE@ as r where ((((r.data ->> ''type''::text) = ''tool''::text) AND (((r.data -> ''state''::text) ->> ''status''::text) = ANY (ARRAY[''pending''::text, ''running''::text]))) OR (((r.data ->> ''type''::text) = ANY (ARRAY[''text''::text, ''reasoning''::text])) AND (((r.data -> ''time''::text) ->> ''start''::text) IS NOT NULL) AND (((r.data -> ''time''::text) ->> ''end''::text) IS NULL)));', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.part', 'gap', 'message.part.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.part'', ''deleted'', ''message.part.updated'', recovery._stale_value(1, ''key'', r.*), (recovery._stale_value(1, ''group'', r.*))::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(1, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(1, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.part', 'gap', 'message.part.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return null;
    end;
end;

-- agent.part: update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column data, column id, column id, column message_id, column session_id, column time_created, column time_updated, function agent.child_of, function agent.held_until, function agent.interrupted, function agent.is_held, function agent.metadata_of, function agent.object_of, relation agent.message') then
declare
    v_old  constant boolean := (((((old.data ->> 'type'::text) = 'tool'::text) AND (((old.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((old.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((old.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((old.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true;
    v_new  constant boolean := (((((new.data ->> 'type'::text) = 'tool'::text) AND (((new.data -> 'state'::text) ->> 'status'::text) = ANY (ARRAY['pending'::text, 'running'::text]))) OR (((new.data ->> 'type'::text) = ANY (ARRAY['text'::text, 'reasoning'::text])) AND (((new.data -> 'time'::text) ->> 'start'::text) IS NOT NULL) AND (((new.data -> 'time'::text) ->> 'end'::text) IS NULL)))) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', v_kind, 'message.part.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data',
        CASE
            WHEN ((old.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((old.data -> 'state'::text) -> 'status'::text), 'error', ((old.data -> 'state'::text) -> 'error'::text), 'time', ((old.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((old.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((old.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (old.data -> 'time'::text))
        END)), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data',
        CASE
            WHEN ((new.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((new.data -> 'state'::text) -> 'status'::text), 'error', ((new.data -> 'state'::text) -> 'error'::text), 'time', ((new.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((new.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((new.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (new.data -> 'time'::text))
        END))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', v_kind, 'message.part.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data',
        CASE
            WHEN ((old.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((old.data -> 'state'::text) -> 'status'::text), 'error', ((old.data -> 'state'::text) -> 'error'::text), 'time', ((old.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((old.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((old.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((old.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (old.data -> 'time'::text))
        END)), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data',
        CASE
            WHEN ((new.data ->> 'type'::text) = 'tool'::text) THEN jsonb_build_object('state', jsonb_build_object('status', ((new.data -> 'state'::text) -> 'status'::text), 'error', ((new.data -> 'state'::text) -> 'error'::text), 'time', ((new.data -> 'state'::text) -> 'time'::text), 'metadata',
            CASE
                WHEN (jsonb_typeof(((new.data -> 'state'::text) -> 'metadata'::text)) = 'object'::text) THEN jsonb_build_object('interrupted', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'interrupted'::text), 'sessionId', (((new.data -> 'state'::text) -> 'metadata'::text) -> 'sessionId'::text), 'output', "substring"("right"((((new.data -> 'state'::text) -> 'metadata'::text) ->> 'output'::text), 400), '<shell_metadata>.*$'::text))
                ELSE NULL::jsonb
            END))
            ELSE jsonb_build_object('time', (new.data -> 'time'::text))
        END));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_old  constant boolean := (recovery._stale_value(1, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(1, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', v_kind, 'message.part.updated', recovery._stale_value(1, 'key', new.*), (recovery._stale_value(1, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(1, 'image', old.*)::jsonb, recovery._stale_value(1, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.part', v_kind, 'message.part.updated', recovery._stale_value(1, 'key', new.*), (recovery._stale_value(1, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(1, 'image', old.*)::jsonb, recovery._stale_value(1, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.part', sqlerrm;
        return null;
    end;
end;

-- agent.session: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_move constant text := 'recovery.move_4_' || pg_trigger_depth();
begin
    new.server_epoch := case when ((new.time_compacting IS NOT NULL)) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(4, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_4_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(4, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return new;
    end;
end;

-- agent.session: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if ((old.time_compacting IS NOT NULL)) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := ((new.time_compacting IS NOT NULL)) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(4, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(4, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(4, 'open', new.*)::boolean) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return new;
    end;
end;

-- agent.session: delete
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_left constant text := 'recovery.left_4_' || pg_trigger_depth();
    v_was  constant boolean := ((old.time_compacting IS NOT NULL)) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session', 'deleted', 'session.updated', (old.id)::text, (old.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_compacting', old.time_compacting), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session', 'deleted', 'session.updated', (old.id)::text, (old.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_compacting', old.time_compacting), null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.left_4_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(4, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session', 'deleted', 'session.updated', recovery._stale_value(4, 'key', old.*), (recovery._stale_value(4, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(4, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session', 'deleted', 'session.updated', recovery._stale_value(4, 'key', old.*), (recovery._stale_value(4, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(4, 'image', old.*)::jsonb, null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return null;
    end;
end;

-- agent.session: index
CREATE INDEX recovery_open_4 ON agent.session USING btree (server_epoch, id, id) WHERE (time_compacting IS NOT NULL);

-- agent.session: index
CREATE INDEX recovery_started_4 ON agent.session USING btree (to_timestamp((((time_compacting)::numeric / 1000.0))::double precision)) WHERE ((time_compacting IS NOT NULL) AND (to_timestamp((((time_compacting)::numeric / 1000.0))::double precision) IS NOT NULL));

-- agent.session: insert
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_left constant text := 'recovery.was_4_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not (((new.time_compacting IS NOT NULL)) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', 'opened', 'session.updated', (new.id)::text, (new.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('time_compacting', new.time_compacting)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', 'opened', 'session.updated', (new.id)::text, (new.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('time_compacting', new.time_compacting);
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.was_4_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(4, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', 'opened', 'session.updated', recovery._stale_value(4, 'key', new.*), (recovery._stale_value(4, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(4, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', 'opened', 'session.updated', recovery._stale_value(4, 'key', new.*), (recovery._stale_value(4, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(4, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return null;
    end;
end;

-- agent.session: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON agent.session FOR EACH ROW WHEN ((new.time_compacting IS NOT NULL)) EXECUTE FUNCTION recovery.watch_4_insert();

-- agent.session: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE OF time_compacting, server_epoch ON agent.session FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_4_update();

-- agent.session: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON agent.session FOR EACH ROW WHEN (((old.time_compacting IS NOT NULL) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_4_delete();

-- agent.session: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON agent.session FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_4_truncate();

-- agent.session: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON agent.session FOR EACH ROW WHEN (((new.time_compacting IS NOT NULL) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_4_before_insert();

-- agent.session: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON agent.session FOR EACH ROW WHEN (((old.time_compacting IS NOT NULL) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_4_before_update();

-- agent.session: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON agent.session FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND (old.time_compacting IS NOT NULL) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_4_before_update();

-- agent.session: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.session'', ''deleted'', ''session.updated'', (r.id)::text, (r.id)::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_build_object(''time_compacting'', r.time_compacting), null::jsonb
        from @TABLE@ as r where (r.time_compacting IS NOT NULL);', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.session', 'gap', 'session.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.session'', ''deleted'', ''session.updated'', recovery._stale_value(4, ''key'', r.*), (recovery._stale_value(4, ''group'', r.*))::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(4, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(4, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.session', 'gap', 'session.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return null;
    end;
end;

-- agent.session: update
begin
    if recovery._has_names('<table>'::regclass, 'column id, column parent_id, column time_compacting, column time_updated, function agent.is_held') then
declare
    v_old  constant boolean := ((old.time_compacting IS NOT NULL)) is true;
    v_new  constant boolean := ((new.time_compacting IS NOT NULL)) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', v_kind, 'session.updated', (new.id)::text, (new.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_compacting', old.time_compacting), jsonb_build_object('time_compacting', new.time_compacting)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', v_kind, 'session.updated', (new.id)::text, (new.id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('time_compacting', old.time_compacting), jsonb_build_object('time_compacting', new.time_compacting);
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_old  constant boolean := (recovery._stale_value(4, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(4, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', v_kind, 'session.updated', recovery._stale_value(4, 'key', new.*), (recovery._stale_value(4, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(4, 'image', old.*)::jsonb, recovery._stale_value(4, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session', v_kind, 'session.updated', recovery._stale_value(4, 'key', new.*), (recovery._stale_value(4, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(4, 'image', old.*)::jsonb, recovery._stale_value(4, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session', sqlerrm;
        return null;
    end;
end;

-- agent.session_message: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_move constant text := 'recovery.move_3_' || pg_trigger_depth();
begin
    new.server_epoch := case when ((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(3, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_3_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(3, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return new;
    end;
end;

-- agent.session_message: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if ((((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := ((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(3, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(3, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(3, 'open', new.*)::boolean) is true;
    if old.server_epoch < 0 then
        perform recovery._refuse_late_result(
            old.server_epoch, case when v_opens then new.server_epoch end, tg_relid);
    end if;
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
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return new;
    end;
end;

-- agent.session_message: delete
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_left constant text := 'recovery.left_3_' || pg_trigger_depth();
    v_was  constant boolean := ((((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session_message', 'deleted', 'session.message.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'finish', (old.data -> 'finish'::text), 'tools',
        CASE
            WHEN (old.type = 'assistant'::text) THEN agent.tools_of((old.data -> 'content'::text))
            ELSE NULL::jsonb
        END))), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session_message', 'deleted', 'session.message.updated', (old.id)::text, (old.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'finish', (old.data -> 'finish'::text), 'tools',
        CASE
            WHEN (old.type = 'assistant'::text) THEN agent.tools_of((old.data -> 'content'::text))
            ELSE NULL::jsonb
        END))), null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.left_3_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(3, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session_message', 'deleted', 'session.message.updated', recovery._stale_value(3, 'key', old.*), (recovery._stale_value(3, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(3, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'agent.session_message', 'deleted', 'session.message.updated', recovery._stale_value(3, 'key', old.*), (recovery._stale_value(3, 'group', old.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(3, 'image', old.*)::jsonb, null::jsonb;
        end if;
    end if;
    if not v_was then
        return null;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('deleted');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return null;
    end;
end;

-- agent.session_message: index
CREATE INDEX recovery_open_3 ON agent.session_message USING btree (server_epoch, session_id, id) WHERE (((type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((type = 'assistant'::text) AND (data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)));

-- agent.session_message: index
CREATE INDEX recovery_started_3 ON agent.session_message USING btree (to_timestamp((((time_created)::numeric / 1000.0))::double precision)) WHERE ((((type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((type = 'assistant'::text) AND (data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) AND (to_timestamp((((time_created)::numeric / 1000.0))::double precision) IS NOT NULL));

-- agent.session_message: insert
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_left constant text := 'recovery.was_3_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not (((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', 'opened', 'session.message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'finish', (new.data -> 'finish'::text), 'tools',
        CASE
            WHEN (new.type = 'assistant'::text) THEN agent.tools_of((new.data -> 'content'::text))
            ELSE NULL::jsonb
        END)))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', 'opened', 'session.message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'finish', (new.data -> 'finish'::text), 'tools',
        CASE
            WHEN (new.type = 'assistant'::text) THEN agent.tools_of((new.data -> 'content'::text))
            ELSE NULL::jsonb
        END)));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_left constant text := 'recovery.was_3_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(3, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', 'opened', 'session.message.updated', recovery._stale_value(3, 'key', new.*), (recovery._stale_value(3, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(3, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', 'opened', 'session.message.updated', recovery._stale_value(3, 'key', new.*), (recovery._stale_value(3, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(3, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written('opened');
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return null;
    end;
end;

-- agent.session_message: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON agent.session_message FOR EACH ROW WHEN ((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) EXECUTE FUNCTION recovery.watch_3_insert();

-- agent.session_message: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE ON agent.session_message FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_3_update();

-- agent.session_message: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON agent.session_message FOR EACH ROW WHEN ((((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_3_delete();

-- agent.session_message: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON agent.session_message FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_3_truncate();

-- agent.session_message: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON agent.session_message FOR EACH ROW WHEN (((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_3_before_insert();

-- agent.session_message: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON agent.session_message FOR EACH ROW WHEN (((((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_3_before_update();

-- agent.session_message: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON agent.session_message FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND (((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath))) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_3_before_update();

-- agent.session_message: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.session_message'', ''deleted'', ''session.message.updated'', (r.id)::text, (r.session_id)::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_strip_nulls(jsonb_build_object(''time_updated'', r.time_updated, ''data'', jsonb_build_object(''time'', (r.data -> ''time''::text), ''finish'', (r.data -> ''finish''::text), ''tools'',
        CASE
            WHEN (r.type = ''assistant''::text) THEN agent.tools_of((r.data -> ''content''::text))
            ELSE NULL::jsonb
        END))), null::jsonb
        from @TABLE@ as r where (((r.type = ANY (ARRAY[''assistant''::text, ''shell''::text])) AND (((r.data -> ''time''::text) ->> ''completed''::text) IS NULL)) OR ((r.type = ''assistant''::text) AND (r.data @? ''strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))''::jsonpath)));', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.session_message', 'gap', 'session.message.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_told  bigint;
    -- An older snapshot does not see all of the rows that go.
    v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
begin
    if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
        perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
    end if;
    begin
        perform pg_current_xact_id();  -- before the event's id: see recovery._settled
        execute replace('        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''agent.session_message'', ''deleted'', ''session.message.updated'', recovery._stale_value(3, ''key'', r.*), (recovery._stale_value(3, ''group'', r.*))::text,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(3, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(3, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
        get diagnostics v_told = row_count;
        if v_told > 0 then
            perform recovery._announce_written('deleted');
        end if;
    exception when others then
        raise warning 'recovery: the rows of % that were open leave no event: %', tg_relid::regclass, sqlerrm;
        v_blind := true;
    end;
    if v_blind then
        begin
            insert into recovery.outbox_1_single (watch, kind, topic, key, reason, detector, new)
            values ('agent.session_message', 'gap', 'session.message.updated', '', 'truncated', 'writer',
                jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
        exception when others then
            null;  -- what there was to say is said above
        end;
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return null;
    end;
end;

-- agent.session_message: update
begin
    if recovery._has_names('<table>'::regclass, 'column data, column id, column seq, column session_id, column time_created, column time_updated, column type, function agent.held_until, function agent.interrupted_content, function agent.is_held, function agent.object_of, function agent.told, function agent.tools_of') then
            begin
        declare
    v_old  constant boolean := ((((old.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((old.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((old.type = 'assistant'::text) AND (old.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true;
    v_new  constant boolean := ((((new.type = ANY (ARRAY['assistant'::text, 'shell'::text])) AND (((new.data -> 'time'::text) ->> 'completed'::text) IS NULL)) OR ((new.type = 'assistant'::text) AND (new.data @? 'strict $."content"[*]?(@."type" == "tool" && ((@."state"."status" == "pending" || @."state"."status" == "running") || @."state"."status" == "streaming"))'::jsonpath)))) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', v_kind, 'session.message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'finish', (old.data -> 'finish'::text), 'tools',
        CASE
            WHEN (old.type = 'assistant'::text) THEN agent.tools_of((old.data -> 'content'::text))
            ELSE NULL::jsonb
        END))), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'finish', (new.data -> 'finish'::text), 'tools',
        CASE
            WHEN (new.type = 'assistant'::text) THEN agent.tools_of((new.data -> 'content'::text))
            ELSE NULL::jsonb
        END)))
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', v_kind, 'session.message.updated', (new.id)::text, (new.session_id)::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_strip_nulls(jsonb_build_object('time_updated', old.time_updated, 'data', jsonb_build_object('time', (old.data -> 'time'::text), 'finish', (old.data -> 'finish'::text), 'tools',
        CASE
            WHEN (old.type = 'assistant'::text) THEN agent.tools_of((old.data -> 'content'::text))
            ELSE NULL::jsonb
        END))), jsonb_strip_nulls(jsonb_build_object('time_updated', new.time_updated, 'data', jsonb_build_object('time', (new.data -> 'time'::text), 'finish', (new.data -> 'finish'::text), 'tools',
        CASE
            WHEN (new.type = 'assistant'::text) THEN agent.tools_of((new.data -> 'content'::text))
            ELSE NULL::jsonb
        END)));
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
            exception when undefined_function then
                null;  -- it has another name, which invalidates no plan that asks for names
            end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
declare
    v_old  constant boolean := (recovery._stale_value(3, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(3, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', v_kind, 'session.message.updated', recovery._stale_value(3, 'key', new.*), (recovery._stale_value(3, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(3, 'image', old.*)::jsonb, recovery._stale_value(3, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_1_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'agent.session_message', v_kind, 'session.message.updated', recovery._stale_value(3, 'key', new.*), (recovery._stale_value(3, 'group', new.*))::text,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(3, 'image', old.*)::jsonb, recovery._stale_value(3, 'image', new.*)::jsonb;
    end if;
    if abs((date_part('epoch', clock_timestamp()) * 1000)::bigint
           - coalesce(pg_sequence_last_value('recovery.bell_time'), 0)) >= 50 then
        perform recovery._announce_written(v_kind);
    end if;
    return null;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'agent.session_message', sqlerrm;
        return null;
    end;
end;
