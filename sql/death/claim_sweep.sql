create or replace function recovery.claim_sweep(
    p_epoch bigint, p_token uuid, p_every interval, out o_wait interval, out o_look boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now  timestamptz := recovery._now();
    v_seen recovery.observation;
    v_free timestamptz := '-infinity';
begin
    perform recovery._check_interval('sweep interval', p_every, interval '1 millisecond', interval '366 days');
    select coalesce(s.process_seen < v_now - p_every * 0.9, true) into o_look
    from recovery.server as s where s.epoch = p_epoch and s.token = p_token and s.ended is null;
    if not found then
        perform recovery.heartbeat(p_epoch, p_token);  -- says why
    end if;
    o_wait := p_every;
    select o.* into v_seen from recovery.observation as o for update skip locked;
    if not found then
        return;  -- somebody sweeps at this moment
    end if;
    if v_seen.sweeper <> p_epoch and v_seen.sweeper_every * 0.9 <= p_every then
        -- Its lock goes with its connection: tried, not looked up, as every process asks. Through a pooler there is
        -- none.
        select v_seen.swept + v_seen.sweeper_every * 1.25 into v_free
        from recovery.server as s
        where s.epoch = v_seen.sweeper and s.ended is null and s.pending is null and s.process_dead is null
          and (not s.keeper or not pg_try_advisory_xact_lock_shared(-s.epoch));
    end if;
    if v_free > v_now and v_seen.swept <= v_now then
        o_wait := least(v_free - v_now, p_every);
        -- Who stands by watches, too. After a break nobody says so: the next sweep is to notice it.
        if v_now - greatest(v_seen.swept, v_seen.asked) between interval '0' and recovery._patience(v_seen.gap) then
            update recovery.observation as o
            set asked = v_now, asked_gap = greatest(v_seen.asked_gap, v_now - greatest(v_seen.swept, v_seen.asked));
        end if;
        return;
    end if;
    if (v_seen.sweeper, v_seen.sweeper_every) is distinct from (p_epoch, p_every) then
        update recovery.observation as o set sweeper = p_epoch, sweeper_every = p_every;
    end if;
    o_wait := interval '0';
end
$$;

comment on function recovery.claim_sweep(bigint, uuid, interval) is
    'Whether a server is to sweep now (o_wait 0), or who does so lives and it asks again after o_wait: one process '
    'sweeps for all, another takes over when that one is gone or late by a quarter of its interval. o_look: nobody '
    'has looked at the processes of its host lately. Errors as recovery.heartbeat; RC010.';

revoke all on function recovery.claim_sweep(bigint, uuid, interval) from public;
