create or replace function recovery.examine(p_about text default null, p_patience interval default interval '1 minute')
returns setof recovery.finding
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
/* With the rights of its caller, which alone decide what it sees of other sessions; what needs ours is done by the
   functions that it calls. One that fails stops no other. */
declare
    v_check   record;
    v_watch   recovery.watch;
    v_finding recovery.finding;
begin
    if p_about is not null and not exists (select from recovery._examinations() as e where e.name = p_about) then
        perform recovery._fail('RC010', format('there is no examination %s', quote_literal(left(p_about, 60))),
            format('There are %s.', (select string_agg(e.name, ', ') from recovery._examinations() as e)));
    elsif p_patience < interval '0' then
        perform recovery._fail('RC010', format('patience %s is below 0', p_patience));
    end if;
    for v_check in select e.name, e.call, e.call like '%$1%' as each from recovery._examinations() as e
        where e.name = p_about or p_about is null
    loop
        for v_watch in
            select w.* from (select 1 where not v_check.each) as o full join (
                select a.* from recovery._attached_watches() as a where v_check.each) as w on false
            order by w.family, w.position, w.name
        loop
            begin
                for v_finding in execute format('select * from %s', v_check.call) using v_watch, p_patience loop
                    v_finding.remedy := coalesce(v_finding.remedy, array_to_string(v_finding.fix, ' '));
                    return next v_finding;
                end loop;
            exception when others then
                return query select
                    'check-failed', 'warning', 'check', concat_ws(' of ', v_check.name, v_watch.name),
                    format('could not be done: %s', sqlerrm),
                    case when sqlstate = '42501' then format('grant recovery_listener to %I;', session_user)
                         when sqlstate = '55P03' then 'ask again: somebody holds a lock on what it reads'
                         else 'repair what it says, and ask again' end,
                    null::text[];
            end;
        end loop;
    end loop;
end
$$;

comment on function recovery.examine(text, interval) is
    'What recovery doctor shows: all that is wrong, with what to type; of one subject (p_about) or of all. p_patience: '
    'how long sweeps may not come, a fuse may be late and a transaction may be open. It changes nothing, waits a '
    'second for a lock at most, and names the checks that could not be done. RC010 no such subject.';

revoke all on function recovery.examine(text, interval) from public;
