create or replace function recovery.close_rows(
    p_family text, p_scope text, p_owner text, p_epoch bigint, p_epochs bigint[], p_guard text, p_keys text[], p_bound text[],
    p_limit integer, p_reason text, p_detector text, p_heir bigint,
    out o_closed jsonb, out o_failed jsonb
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_row   record;
    v_sql   text;
    v_done  jsonb;
    v_state text;
    v_error text;
begin
    o_closed := '{}';
    o_failed := '{}';
    for v_watch in select w.* from recovery.attached() as w where w.family = p_family order by w.position, w.name loop
        v_sql := recovery.close_sql(p_family, 'row', p_owner, p_guard, true, true, p_heir is not null, v_watch.name);
        for v_row in execute format(
            'select %1$s as parts, %2$s as key from %3$s as r where %4$s and %5$s and not exists (select from recovery.failure as f where f.watch = %6$L and f.key = %2$s and f.next_at > clock_timestamp()) order by %7$s%8$s',
            recovery.key_sql(v_watch, 'parts'), recovery.key_text(v_watch.key_columns, 'r'), v_watch.relation,
            recovery.scope_sql(v_watch, p_owner, p_guard, false),
            recovery.key_sql(v_watch, case p_scope when 'range' then 'between' else p_scope end),
            v_watch.name,
            case when p_scope <> 'groups' then recovery.key_sql(v_watch, 'columns')
                 else format('array_position($2, (%s)::text), %s', v_watch.group_by, coalesce(v_watch.order_by, recovery.key_sql(v_watch, 'columns'))) end,
            case p_scope when 'loose' then ' limit $3' else '' end)
            using p_epoch, p_keys, p_limit, p_reason, null::text, p_detector, null::timestamptz, p_heir, p_epochs, p_bound
        loop
            begin
                execute v_sql into v_done
                using p_epoch, v_row.parts, 1, p_reason, recovery.words(p_reason), p_detector, clock_timestamp(), p_heir, p_epochs, null::text[];
                set constraints all immediate;
                if v_done <> '{}' then
                    o_closed := o_closed || jsonb_build_object(v_watch.name, coalesce((o_closed ->> v_watch.name)::bigint, 0) + 1);
                    delete from recovery.failure as f where f.watch = v_watch.name and f.key = v_row.key;
                end if;
            exception when others then
                get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
                insert into recovery.failure as f (watch, key, key_parts, server_epoch, next_at, sqlstate, message)
                values (v_watch.name, v_row.key, v_row.parts, p_epoch, clock_timestamp() + interval '10 seconds', v_state, v_error)
                on conflict (watch, key) do update
                set attempts = f.attempts + 1, last_at = clock_timestamp(),
                    next_at = clock_timestamp() + least(interval '10 seconds' * (2 ^ least(f.attempts, 10)), interval '1 hour'),
                    server_epoch = excluded.server_epoch, sqlstate = excluded.sqlstate, message = excluded.message;
                o_failed := o_failed || jsonb_build_object(v_watch.name, coalesce((o_failed ->> v_watch.name)::bigint, 0) + 1);
            end;
        end loop;
    end loop;
end
$$;

comment on function recovery.close_rows(text, text, text, bigint, bigint[], text, text[], text[], integer, text, text, bigint) is
    'Closes a batch row by row after it failed as a whole: the bad rows go to recovery.failure with their error, all others close.';

revoke all on function recovery.close_rows(text, text, text, bigint, bigint[], text, text[], text[], integer, text, text, bigint) from public;
