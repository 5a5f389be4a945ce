create or replace function recovery._begin_shutdown(p_epoch bigint, p_token uuid, p_heir bigint, p_lock_wait interval)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_server record;
begin
    select s.name, s.token into v_server from recovery.server as s where s.epoch = p_epoch;
    if not found then
        perform recovery._fail('RC002',
            format('epoch %s is unknown: no server booted with it', coalesce(p_epoch::text, 'null')),
            'Give the epoch that recovery.boot returned.');
    elsif p_token is null then
        perform recovery._fail('RC003',
            format('epoch %s of server "%s" is not shut down without its token', p_epoch, v_server.name),
            'Give the token that recovery.boot returned with the epoch; only a member of recovery_owner may go '
            'without.');
    elsif p_token <> v_server.token then
        perform recovery._fail('RC003',
            format('epoch %s belongs to another boot of server "%s": the token does not match', p_epoch, v_server.name),
            'After a failover an epoch may have been issued again; boot again to get a new one.');
    end if;
    if p_heir = p_epoch then
        perform recovery._fail('RC010', format('epoch %s cannot be its own heir', p_heir),
            'Give the epoch of another live server.');
    elsif p_heir is not null then
        perform recovery.assert_live(p_heir);
        -- With the end itself: a sweep that comes between must hand over, too, and not close.
        update recovery.server as s set heir = p_heir where s.epoch = p_epoch and s.ended is null;
    end if;
    return recovery._end_epoch(p_epoch, 'shutdown', p_lock_wait);
end
$$;

comment on function recovery._begin_shutdown(bigint, uuid, bigint, interval) is
    'First transaction of a shutdown: checks epoch, token and heir, and ends the epoch. False if it had ended before.';

revoke all on function recovery._begin_shutdown(bigint, uuid, bigint, interval) from public;
