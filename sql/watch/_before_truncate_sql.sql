create or replace function recovery._before_truncate_sql(p_watch recovery.watch)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return recovery._render_sql($sql$
        declare
            v_told  bigint;
            -- An older snapshot does not see all of the rows that go.
            v_blind boolean := current_setting('transaction_isolation') in ('repeatable read', 'serializable');
        begin
            if nullif(current_setting('recovery.server_epoch', true), '')::bigint is not null then
                perform recovery.assert_live(nullif(current_setting('recovery.server_epoch', true), '')::bigint);
            end if;
        {tell}
            return null;
        end
        $sql$, jsonb_build_object(
        'tell', case p_watch.events when 'closed' then '' else recovery._render_sql($sql$
            begin
                perform pg_current_xact_id();  -- before the event's id: see recovery._settled
                execute replace({write!l}, '@TABLE@', tg_relid::regclass::text);
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
                    insert into recovery.outbox_{outbox}_single (watch, kind, topic, key, reason, detector, new)
                    values ({watch!l}, 'gap', {topic!l}, '', 'truncated', 'writer',
                        jsonb_build_object('why', 'truncated', 'table', tg_relid::regclass::text));
                exception when others then
                    null;  -- what there was to say is said above
                end;
            end if;
        $sql$, jsonb_build_object(
            'outbox', p_watch.outbox, 'watch', p_watch.name, 'topic', p_watch.topic, 'write', recovery._event_sql(
            p_watch, 'r', $sql$'deleted'$sql$, p_watch.image, 'null::jsonb', false, false))) end));
end
$function$;

comment on function recovery._before_truncate_sql(recovery.watch) is
    'Body of the trigger function that fences and tells the open rows of a table that is truncated. See '
    'recovery._trigger_sql.';

revoke all on function recovery._before_truncate_sql(recovery.watch) from public;
