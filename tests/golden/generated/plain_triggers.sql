-- Generated from the watches of app.job. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py

-- app.job: before_insert
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
declare
    v_move constant text := 'recovery.move_6_' || pg_trigger_depth();
begin
    new.server_epoch := case when ((new.status = 'running'::text)) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    end if;
    -- A name that stands above has changed, and recovery._follow_watch has not come yet.
    begin
        if recovery._stale_value(6, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_move constant text := 'recovery.move_6_' || pg_trigger_depth();
begin
    new.server_epoch := case when (recovery._stale_value(6, 'open', new.*)::boolean) is true then coalesce(
        new.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint) end;
    return new;
end;
    exception when others then
        if sqlstate like 'RC%' then
            raise;
        end if;
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return new;
    end;
end;

-- app.job: before_update
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if ((old.status = 'running'::text)) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := ((new.status = 'running'::text)) is true;
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
        if recovery._stale_value(6, 'open', new.*) is null then
            new.server_epoch := coalesce(
                new.server_epoch, old.server_epoch, nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            return new;
        end if;
declare
    v_writer constant bigint := nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    v_opens  boolean;
begin
    if (recovery._stale_value(6, 'open', old.*)::boolean) is true then
        -- The NULL of an ORM that has not seen who owns the row says nothing.
        if new.server_epoch is null and v_writer is not null then
            new.server_epoch := old.server_epoch;
        end if;
        return new;
    end if;
    v_opens := (recovery._stale_value(6, 'open', new.*)::boolean) is true;
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
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return new;
    end;
end;

-- app.job: delete
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
declare
    v_left constant text := 'recovery.left_6_' || pg_trigger_depth();
    v_was  constant boolean := ((old.status = 'running'::text)) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'app.job', 'deleted', 'job.changed', (old.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('error', old.error, 'status', old.status), null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'app.job', 'deleted', 'job.changed', (old.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('error', old.error, 'status', old.status), null::jsonb;
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
    v_left constant text := 'recovery.left_6_' || pg_trigger_depth();
    v_was  constant boolean := (recovery._stale_value(6, 'open', old.*)::boolean) is true;
begin
    if not v_was then
        perform recovery._fence_write(null, false);
    else
        if (case when old.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
                  and current_setting('transaction_isolation') = 'read committed'
                 then pg_advisory_xact_lock_shared(old.server_epoch) is not null end) then
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'app.job', 'deleted', 'job.changed', recovery._stale_value(6, 'key', old.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(6, 'image', old.*)::jsonb, null::jsonb
        from recovery.server as s
        where s.epoch = old.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
        end if;
        if not found then
            perform recovery._fence_write(null, false);
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select old.server_epoch, 'app.job', 'deleted', 'job.changed', recovery._stale_value(6, 'key', old.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(6, 'image', old.*)::jsonb, null::jsonb;
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
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return null;
    end;
end;

-- app.job: index
CREATE INDEX recovery_open_6 ON app.job USING btree (server_epoch, id) WHERE (status = 'running'::text);

-- app.job: index
CREATE INDEX recovery_started_6 ON app.job USING btree (started) WHERE ((status = 'running'::text) AND (started IS NOT NULL));

-- app.job: insert
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
declare
    v_left constant text := 'recovery.was_6_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not (((new.status = 'running'::text)) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', 'opened', 'job.changed', (new.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('error', new.error, 'status', new.status)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', 'opened', 'job.changed', (new.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, jsonb_build_object('error', new.error, 'status', new.status);
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
    v_left constant text := 'recovery.was_6_' || pg_trigger_depth();
    v_was  jsonb;
    v_old  boolean;
    v_new  boolean;
    v_kind text;
begin
    if not ((recovery._stale_value(6, 'open', new.*)::boolean) is true) then
        return null;
    end if;
    if (case when new.server_epoch = nullif(current_setting('recovery.server_epoch', true), '')::bigint
              and current_setting('transaction_isolation') = 'read committed'
             then pg_advisory_xact_lock_shared(new.server_epoch) is not null end) then
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', 'opened', 'job.changed', recovery._stale_value(6, 'key', new.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(6, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(new.server_epoch, true);
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', 'opened', 'job.changed', recovery._stale_value(6, 'key', new.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', null::jsonb, recovery._stale_value(6, 'image', new.*)::jsonb;
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
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return null;
    end;
end;

-- app.job: trigger
CREATE TRIGGER recovery_10_insert AFTER INSERT ON app.job FOR EACH ROW WHEN ((new.status = 'running'::text)) EXECUTE FUNCTION recovery.watch_6_insert();

-- app.job: trigger
CREATE TRIGGER recovery_20_update AFTER UPDATE OF status, server_epoch ON app.job FOR EACH ROW WHEN (((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0))) EXECUTE FUNCTION recovery.watch_6_update();

-- app.job: trigger
CREATE TRIGGER recovery_30_delete AFTER DELETE ON app.job FOR EACH ROW WHEN (((old.status = 'running'::text) OR (current_setting('recovery.server_epoch'::text, true) <> ''::text))) EXECUTE FUNCTION recovery.watch_6_delete();

-- app.job: trigger
CREATE TRIGGER recovery_40_truncate BEFORE TRUNCATE ON app.job FOR EACH STATEMENT EXECUTE FUNCTION recovery.watch_6_truncate();

-- app.job: trigger
CREATE TRIGGER zz_recovery_10_insert BEFORE INSERT ON app.job FOR EACH ROW WHEN (((new.status = 'running'::text) IS DISTINCT FROM (new.server_epoch IS NOT NULL))) EXECUTE FUNCTION recovery.watch_6_before_insert();

-- app.job: trigger
CREATE TRIGGER zz_recovery_20_update BEFORE UPDATE ON app.job FOR EACH ROW WHEN (((old.status = 'running'::text) IS NOT TRUE)) EXECUTE FUNCTION recovery.watch_6_before_update();

-- app.job: trigger
CREATE TRIGGER zz_recovery_25_null BEFORE UPDATE OF server_epoch ON app.job FOR EACH ROW WHEN (((new.server_epoch IS NULL) AND (old.server_epoch IS NOT NULL) AND (old.status = 'running'::text) AND ((CURRENT_USER <> 'recovery_runner_postgres'::name) OR (pg_trigger_depth() > 0)))) EXECUTE FUNCTION recovery.watch_6_before_update();

-- app.job: truncate
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
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
        execute replace('        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''app.job'', ''deleted'', ''job.changed'', (r.id)::text, null,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', jsonb_build_object(''error'', r.error, ''status'', r.status), null::jsonb
        from @TABLE@ as r where (r.status = ''running''::text);', '@TABLE@', tg_relid::regclass::text);
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
            insert into recovery.outbox_6_single (watch, kind, topic, key, reason, detector, new)
            values ('app.job', 'gap', 'job.changed', '', 'truncated', 'writer',
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
        execute replace('        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select r.server_epoch, ''app.job'', ''deleted'', ''job.changed'', recovery._stale_value(6, ''key'', r.*), null,
               nullif(current_setting(''recovery.reason'', true), ''''), ''writer'', recovery._stale_value(6, ''image'', r.*)::jsonb, null::jsonb
        from @TABLE@ as r where recovery._stale_value(6, ''open'', r.*)::boolean;', '@TABLE@', tg_relid::regclass::text);
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
            insert into recovery.outbox_6_single (watch, kind, topic, key, reason, detector, new)
            values ('app.job', 'gap', 'job.changed', '', 'truncated', 'writer',
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
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return null;
    end;
end;

-- app.job: update
begin
    if recovery._has_names('<table>'::regclass, 'column error, column id, column note, column started, column status') then
declare
    v_old  constant boolean := ((old.status = 'running'::text)) is true;
    v_new  constant boolean := ((new.status = 'running'::text)) is true;
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
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', v_kind, 'job.changed', (new.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('error', old.error, 'status', old.status), jsonb_build_object('error', new.error, 'status', new.status)
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', v_kind, 'job.changed', (new.id)::text, null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', jsonb_build_object('error', old.error, 'status', old.status), jsonb_build_object('error', new.error, 'status', new.status);
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
    v_old  constant boolean := (recovery._stale_value(6, 'open', old.*)::boolean) is true;
    v_new  constant boolean := (recovery._stale_value(6, 'open', new.*)::boolean) is true;
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
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', v_kind, 'job.changed', recovery._stale_value(6, 'key', new.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(6, 'image', old.*)::jsonb, recovery._stale_value(6, 'image', new.*)::jsonb
        from recovery.server as s
        where s.epoch = new.server_epoch and s.ended is null and s.pending is null and s.drain_until is null;
    end if;
    if not found then
        perform recovery._fence_write(case when v_new then new.server_epoch end, v_new and not v_old);
        if not v_old and not v_new then
            return null;
        end if;
        insert into recovery.outbox_6_single
            (server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new)
        select new.server_epoch, 'app.job', v_kind, 'job.changed', recovery._stale_value(6, 'key', new.*), null,
               nullif(current_setting('recovery.reason', true), ''), 'writer', recovery._stale_value(6, 'image', old.*)::jsonb, recovery._stale_value(6, 'image', new.*)::jsonb;
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
        raise warning 'recovery: a write of watch "%" passes unseen: %', 'app.job', sqlerrm;
        return null;
    end;
end;
