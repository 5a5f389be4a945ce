create or replace function recovery.ask(p_detector text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now   timestamptz := recovery.now();
    v_due   record;
    v_grace interval;
    v_asked recovery.cancellation;
    v_event bigint;
    v_due_units jsonb := '{}';
    v_count bigint := 0;
begin
    for v_due in select d.*, w.family from recovery.due() as d join recovery.watch as w on w.name = d.watch loop
        continue when v_due.scope = 'row' and recovery.has_fuses(v_due.family) and exists (
            select from recovery.fuse as f where f.family = v_due.family and f.scope = 'row' and f.watch = v_due.watch and f.key = v_due.key
            and f.expires >= v_now and f.pid is not null and f.process_dead is null);
        -- A live owner is asked first; where there is none, the deadline is now.
        v_grace := case when exists (select from recovery.server as s where s.epoch = v_due.owner and s.ended is null)
            then recovery.setting_of('cancel_grace', v_due.watch, v_due.detail ->> 'kind', case v_due.scope when 'group' then v_due.key end)::interval
            else interval '0' end;
        insert into recovery.cancellation as c (family, scope, watch, key, server_epoch, reason, detail, requested, deadline)
        values (v_due.family, v_due.scope, case v_due.scope when 'row' then v_due.watch else '' end, v_due.key, v_due.owner, v_due.reason,
                v_due.detail || jsonb_build_object('watch', v_due.watch), v_now, v_now + v_grace)
        on conflict (family, scope, key, watch) do nothing
        returning c.* into v_asked;
        if found and not exists (select from recovery.open_in(v_due.watch, v_due.scope, v_due.key)) then
            delete from recovery.cancellation as c where c.id = v_asked.id;  -- closed since we looked
        elsif v_asked.id is not null and v_grace > interval '0' then
            insert into recovery.event (server_epoch, watch, kind, key, group_key, reason, detector, new)
            values (v_due.owner, v_due.watch, 'cancel', v_due.key, case v_due.scope when 'group' then v_due.key end, v_due.reason, p_detector,
                    v_asked.detail || jsonb_build_object('cancellation', v_asked.id, 'scope', v_due.scope, 'deadline', v_asked.deadline))
            returning id into v_event;
            perform recovery.announce(v_event, v_event);
            v_count := v_count + 1;
        end if;
        v_due_units := v_due_units || jsonb_build_object(jsonb_build_array(v_due.family, v_due.scope, v_due.key, case v_due.scope when 'row' then v_due.watch else '' end)::text, true);
    end loop;
    -- What moved again in time, or closed, is asked for no more.
    delete from recovery.cancellation as c
    where not v_due_units ? jsonb_build_array(c.family, c.scope, c.key, c.watch)::text;
    return v_count;
end
$$;

comment on function recovery.ask(text) is
    'Notes every unit of recovery.due() in recovery.cancellation and asks its live owner, once, by an event of kind cancel; withdraws what is due no more. Returns how many were asked.';

revoke all on function recovery.ask(text) from public;
