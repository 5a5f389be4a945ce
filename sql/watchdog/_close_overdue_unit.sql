create or replace function recovery._close_overdue_unit(
    p_detector text, p_lock_wait interval, out o_closed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked recovery.cancellation;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    -- One a call: the caller commits. Another sweeper's is skipped.
    select c.* into v_asked from recovery.cancellation as c
    where c.deadline <= recovery._now() order by c.id limit 1 for update skip locked;
    o_more := found;
    if found then
        begin
            o_closed := recovery._close_unit_tree(v_asked.detail ->> 'watch', v_asked.scope, v_asked.key,
                v_asked.reason, p_detector, p_lock_wait);
            if o_closed = '{}' and exists (select
                from recovery._unit_rows(v_asked.detail ->> 'watch', v_asked.scope, v_asked.key))
            then
                -- Somebody holds its rows: later, and nobody is asked again.
                update recovery.cancellation as c set deadline = recovery._now() + interval '5 seconds'
                    where c.id = v_asked.id;
            else
                delete from recovery.cancellation as c where c.id = v_asked.id;
            end if;
        exception when others then
            perform recovery._note_broken_watch(v_asked.detail ->> 'watch', sqlstate, sqlerrm);
            update recovery.cancellation as c set deadline = recovery._now() + interval '10 seconds'
                where c.id = v_asked.id;
        end;
    end if;
end
$$;

comment on function recovery._close_overdue_unit(text, interval) is
    'Closes one overdue unit that nobody acknowledged in time, for the reason that is true. o_more false: there was '
    'none.';

revoke all on function recovery._close_overdue_unit(text, interval) from public;
