create or replace function recovery.assert_live(p_epoch bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_server record;
    v_found  boolean;
begin
    if p_epoch is null then
        perform recovery._fail('RC002', 'no epoch was given', 'Boot first: call recovery.boot(name).');
    end if;
    -- The lock and the read are two statements on purpose: the read needs a snapshot that is younger
    -- than the lock, else an epoch that ended while we waited would look alive.
    perform pg_advisory_xact_lock_shared(p_epoch);
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
       and current_setting('transaction_read_only') = 'off' then
        -- The snapshot may be older than the lock: reading FOR KEY SHARE fails with 40001 when the
        -- epoch has ended since (ending is a key update), and not on a mere heartbeat. What it locks is let go
        -- at once, or an idle or prepared transaction would hold up the end, and with it all other rows of the epoch.
        begin
            select s.name, coalesce(s.ended, case when s.pending is not null then clock_timestamp() end) as ended,
                   coalesce(s.reason, s.pending) as reason into v_server
            from recovery.server as s where s.epoch = p_epoch for key share;
            v_found := found;
            perform recovery._fail('RX000', 'taken back');
        exception when sqlstate 'RX000' then
            null;
        end;
    else
        select s.name, coalesce(s.ended, case when s.pending is not null then clock_timestamp() end) as ended,
               coalesce(s.reason, s.pending) as reason into v_server
        from recovery.server as s where s.epoch = p_epoch;
        v_found := found;
    end if;
    if not v_found then
        perform recovery._fail('RC002', format('epoch %s is unknown: no server booted with it', p_epoch),
            'recovery.server_epoch must hold the epoch that recovery.boot returned.');
    elsif v_server.ended is not null then
        perform recovery._fail('RC001',
            format('epoch %s of server "%s" ended at %s (%s): it may no longer write', p_epoch, v_server.name,
                   to_char(v_server.ended at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), v_server.reason),
            'This process was declared dead or replaced; stop its work and boot again.');
    end if;
end
$$;

comment on function recovery.assert_live(bigint) is
    'The fence: raises RC001 if the epoch has ended, RC002 if it never was; until the transaction ends whoever ends '
    'the epoch waits for it, with a bound.';

revoke all on function recovery.assert_live(bigint) from public;
