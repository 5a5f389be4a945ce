create or replace function recovery._ask_owners(p_detector text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now   timestamptz := recovery._now();
    v_asked recovery.cancellation;
    v_count bigint := 0;
begin
    for v_asked in
        with due as materialized (
            select w.family, d.scope, case d.scope when 'row' then d.watch else '' end as watch, d.key, d.owner,
                d.reason,
                   d.detail || jsonb_build_object('watch', d.watch) as detail,
                   -- A live owner is asked first; where there is none, the deadline is now.
                   case when exists (select from recovery.server as s where s.epoch = d.owner and s.ended is null)
                        then recovery.get_setting('cancel_grace', d.watch, d.detail ->> 'kind',
                            case d.scope when 'group' then d.key end)::interval
                        else interval '0' end as grace
            from recovery._due_units() as d join recovery.watch as w on w.name = d.watch
            where d.scope <> 'row' or not exists (
                select from recovery.fuse_state as f
                where f.family = w.family and f.scope = 'row' and f.watch = d.watch and f.key = d.key and f.guards)
        ),
        gone as (
            -- What moved again in time, or closed, is asked for no more.
            delete from recovery.cancellation as c
            where (c.family, c.scope, c.watch, c.key) not in (select d.family, d.scope, d.watch, d.key from due as d)
        )
        insert into recovery.cancellation (family, scope, watch, key, server_epoch, reason, detail, requested, deadline)
        select d.family, d.scope, d.watch, d.key, d.owner, d.reason, d.detail, v_now, v_now + d.grace from due as d
        on conflict (family, scope, key, watch) do nothing
        returning *
    loop
        if not recovery._has_open_work(v_asked.detail ->> 'watch', v_asked.scope, v_asked.key) then
            delete from recovery.cancellation as c where c.id = v_asked.id;  -- closed since we looked
        elsif v_asked.deadline > v_now then
            perform recovery._send_cancel(v_asked.server_epoch, v_asked.detail ->> 'watch', v_asked.scope, v_asked.key,
                v_asked.reason, p_detector,
                v_asked.detail || jsonb_build_object('cancellation', v_asked.id, 'deadline', v_asked.deadline));
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end
$$;

comment on function recovery._ask_owners(text) is
    'Notes every unit of recovery._due_units() in recovery.cancellation and asks its live owner, once, by an event of '
    'kind cancel; withdraws what is due no more. Returns how many were asked.';

revoke all on function recovery._ask_owners(text) from public;
