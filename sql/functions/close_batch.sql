create or replace function recovery.close_batch(
    p_family text, p_epoch bigint, p_after text[], p_limit integer, p_detector text,
    p_lock_wait interval, p_careful boolean, p_heir bigint default null,
    out o_closed jsonb, out o_failed jsonb, out o_after text[], out o_done boolean, out o_careful boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reason  text := 'unowned';
    v_grouped boolean;
    v_failing boolean;
    v_scope   text[];
    v_groups  text[];
    v_last    text;
    v_from    bigint;
    v_to      bigint;
    v_still   boolean;
    v_count   bigint;
    v_whole   boolean := true;
begin
    o_closed := '{}';
    o_failed := '{}';
    o_careful := p_careful;
    if p_epoch is not null then
        select s.reason into v_reason from recovery.server as s where s.epoch = p_epoch and s.ended is not null;
        if not found then
            perform recovery.fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch),
                'Only rows of ended epochs are closed.');
        end if;
    end if;
    select bool_or(w.group_by is not null) into v_grouped from recovery.watch as w where w.family = p_family;
    v_failing := exists (select from recovery.failure as f join recovery.watch as w on w.name = f.watch where w.family = p_family);
    if v_grouped then
        select n.o_groups, n.o_last into v_groups, v_last
        from recovery.next_groups(p_family, p_epoch, p_after[1], p_limit) as n;
        if v_groups is null then
            o_done := true;
            return;
        end if;
        v_scope := v_groups;
        o_after := array[v_last];
        o_done := false;
    else
        v_scope := p_after;
    end if;
    -- Tells the update triggers of this family that the events are ours to write.
    perform set_config('recovery.closing', p_family, true);
    perform set_config('lock_timeout', ceil(extract(epoch from p_lock_wait) * 1000)::text || 'ms', true);
    loop
        begin
            execute recovery.close_sql(p_family, case when v_grouped then 'groups' else 'range' end,
                p_epoch is not null, o_careful, v_failing, p_heir is not null)
            into o_closed, v_from, v_to, v_still, p_after, v_count
            using p_epoch, v_scope, p_limit, v_reason, recovery.words(v_reason), p_detector, clock_timestamp(), p_heir;
            if v_still then
                perform recovery.fail('RC006', format('the close expressions of family "%s" leave a row open', p_family));
            end if;
            exit;
        exception
            when lock_not_available or deadlock_detected then
                -- Somebody holds a row: go round it, now and in what follows; the sweep takes it later.
                exit when o_careful;
                o_careful := true;
            when others then
                v_whole := false;
                exit;
        end;
    end loop;
    if not v_whole then
        select r.o_closed, r.o_failed, r.o_from, r.o_to, r.o_last, r.o_count
        into o_closed, o_failed, v_from, v_to, p_after, v_count
        from recovery.close_rows(p_family, p_epoch, v_groups, v_scope, p_limit, v_reason, p_detector, p_heir) as r;
    elsif v_failing and v_from is not null then
        delete from recovery.failure as f using recovery.event as e
        where e.id between v_from and v_to and e.kind in ('closed', 'adopted') and f.watch = e.watch and f.key = e.key;
    end if;
    if not v_grouped then
        o_after := p_after;
        o_done := coalesce(v_count, 0) < p_limit;
    elsif p_heir is null then
        v_to := recovery.settle(p_family, p_epoch, v_groups, v_from, v_to, v_reason, p_detector);
    end if;
    perform set_config('recovery.closing', '', true);
    perform recovery.announce(v_from, v_to);
end
$$;

comment on function recovery.close_batch(text, bigint, text[], integer, text, interval, boolean, bigint) is
    'Closes the next batch of an ended epoch in one family (epoch null: rows that no server owns), or gives it to p_heir. Returns the counts per watch, where to go on, and whether to skip locked rows from here on.';

revoke all on function recovery.close_batch(text, bigint, text[], integer, text, interval, boolean, bigint) from public;
