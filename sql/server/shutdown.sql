create or replace procedure recovery.shutdown(
    p_epoch      bigint,
    p_token      pg_catalog.uuid  default null,
    p_heir       bigint           default null,
    p_batch      integer          default 10000,
    p_lock_wait  interval         default interval '2 seconds',
    inout report pg_catalog.jsonb default null
)
language plpgsql
security invoker
as $$
-- Not security definer and without a SET clause: it commits after each batch. So it reads its names by the caller's
-- search_path: every function, type and operator stands with its schema, which tools/check_names.py proves.
declare
    v_start   pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    v_token   pg_catalog.uuid := p_token;
    v_ended   boolean;
    v_family  pg_catalog.text;
begin
    commit; set transaction isolation level read committed, read write;  -- whatever the session begins with
    perform recovery._check_call(p_batch, p_lock_wait);
    p_lock_wait := recovery._fit_lock_wait(p_lock_wait);
    if v_token is null and pg_catalog.pg_has_role('recovery_owner', 'usage') then
        select s.token into v_token from recovery.server as s where s.epoch operator(pg_catalog.=) p_epoch;
    end if;
    perform recovery._begin_step(p_lock_wait);
    v_ended := recovery._begin_shutdown(p_epoch, v_token, p_heir, p_lock_wait);
    commit; set transaction isolation level read committed, read write;
    report := recovery._new_report(case when v_ended then array[p_epoch] else array[]::bigint[] end);
    for v_family in select distinct w.family from recovery._attached_watches() as w
        where exists (select from recovery.server as s where s.epoch operator(pg_catalog.=) p_epoch
            and (s.ended is not null or s.pending is not null))
        order by w.family
    loop
        exit when (report operator(pg_catalog.->) 'more') operator(pg_catalog.=) 'true'::pg_catalog.jsonb;
        call recovery._close_epoch(v_family, p_epoch, pg_catalog.concat('shutdown:', p_epoch), p_batch, p_lock_wait,
            p_heir, report);
    end loop;
    report := recovery._end_report(report, v_start);
end
$$;

comment on procedure recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb) is
    'Ends an epoch with reason shutdown and closes what it still owns, or hands it to the live epoch p_heir. Harmless '
    'when it has ended already. RC002 unknown epoch, RC003 no token or a foreign one (recovery_owner needs none), '
    'RC001 the heir has ended.';

revoke all on procedure recovery.shutdown(bigint, uuid, bigint, integer, interval, jsonb) from public;
