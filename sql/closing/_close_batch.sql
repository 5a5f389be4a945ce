create or replace function recovery._close_batch(
    p_family text, p_epoch bigint, p_guard text, p_after text[], p_limit integer, p_detector text,
    p_lock_wait interval, p_careful boolean, p_heir bigint default null,
    out o_closed jsonb, out o_failed jsonb, out o_after text[], out o_done boolean, out o_careful boolean,
    out o_stopped boolean,
    out o_limit integer
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reason text := 'unowned';
    v_owner  text := case when p_epoch is null then 'none' else 'epoch' end;
    v_groups text[];
    v_last   text;
    v_bound  text[];
    v_batch  record;
    v_family boolean;
begin
    perform recovery._check_fresh();
    o_stopped := false;
    o_limit := p_limit;
    if recovery._is_elsewhere(p_family, p_epoch) then
        o_closed := '{}';
        o_failed := '{}';
        o_done := true;
        return;
    end if;
    if p_epoch is not null then
        -- A transaction that holds up the end holds up no other row.
        select coalesce(s.reason, s.pending) into v_reason from recovery.server as s
        where s.epoch = p_epoch and (s.ended is not null or s.pending is not null);
        if not found then
            perform recovery._fail('RC010', format('epoch %s has not ended: its rows are live', p_epoch),
                'Only rows of ended epochs are closed.');
        end if;
    end if;
    begin
        v_family := exists (select from recovery._attached_watches() as w where w.family = p_family
            and w.group_by is not null);
        if v_family then
            select n.o_groups, n.o_last into v_groups, v_last
            from recovery._next_groups(p_family, p_epoch, p_guard, p_after[1], p_limit) as n;
        else
            v_bound := recovery._next_key(p_family, p_epoch, p_after, p_limit);
        end if;
        select s.* into v_batch from recovery._close_selection(p_family, v_owner, p_epoch, p_guard, v_groups, null,
            case when v_family then null else p_after end, v_bound, p_limit,
            case when p_heir is null then v_reason else 'adopted' end, p_detector, p_lock_wait, p_careful, p_heir) as s;
        o_closed := v_batch.o_closed;
        o_failed := v_batch.o_failed;
        o_careful := v_batch.o_careful;
        if v_batch.o_split then
            o_after := p_after;
            o_done := false;
            o_limit := p_limit / 8;
            return;
        end if;
        o_limit := least(p_limit * 2, 100000);
        -- After the last group come the rows without one, from the start each time: what was closed is gone.
        o_after := case when v_groups is not null then array[v_last] when v_family then p_after else v_bound end;
        o_done := case when v_groups is not null then false
                       when v_family then o_closed = '{}'
                       else v_bound is null end;
    exception when query_canceled then
        -- statement_timeout, which counts once a call, or an operator: what is closed stays so, the rest is the
        -- sweep's.
        raise notice 'recovery: stopped (%)', sqlerrm;
        o_closed := '{}';
        o_failed := '{}';
        o_careful := p_careful;
        o_done := true;
        o_stopped := true;
    when others then
        -- Not one row, which close_rows would have found, but the watch: its table, its runner, an expression.
        perform recovery._note_broken_watch(
            (select min(w.name) from recovery._attached_watches() as w where w.family = p_family), sqlstate, sqlerrm);
        o_closed := '{}';
        o_failed := '{}';
        o_done := true;
    end;
end
$$;

comment on function recovery._close_batch(text, bigint, text, text[], integer, text, interval, boolean, bigint) is
    'Closes the next batch of an ended epoch in one family (epoch null: rows that no server owns), or gives it to '
    'p_heir. Returns the counts per watch, where to go on, whether to skip locked rows from here on, whether it was '
    'stopped, and how many rows the next batch is to have: an eighth if this one failed, so that one bad row does not '
    'make thousands close one by one.';

revoke all on function recovery._close_batch(
    text, bigint, text, text[], integer, text, interval, boolean, bigint
) from public;
