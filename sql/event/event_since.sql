create or replace function recovery.event_since(p_at timestamptz)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
/* Ids grow nearly as the clock does: a closing tells one time for all of its batch, and a clock is set. So it looks for
   a minute before. */
declare
    c_slack constant interval := interval '1 minute';
    v_low   bigint;  -- what is at or below is older
    v_high  bigint;  -- what is above is not
    v_id    bigint;
    v_at    timestamptz;
begin
    if p_at is null then
        perform recovery._fail('RC010', 'a time is needed', 'Give a time, or -infinity for all that is kept.');
    end if;
    select f.id into v_low from recovery.event_floor as f;
    select max(o.id) + 99 into v_high from recovery.outbox as o;
    if not isfinite(p_at) then
        return case when p_at < 'infinity' then v_low else greatest(v_low, v_high) end;
    end if;
    while v_high > v_low loop
        -- The next record from the middle on, for ids leave numbers out.
        select o.id, o.at into v_id, v_at from recovery.outbox as o
        where o.id > v_low + (v_high - v_low) / 2 order by o.id limit 1;
        if v_id is null or v_id > v_high or v_at >= p_at - c_slack then
            v_high := v_low + (v_high - v_low) / 2;
        else
            v_low := v_id + 99;
        end if;
    end loop;
    return v_low;
end
$$;

comment on function recovery.event_since(timestamptz) is
    'The id after which the events of that time and later are, with some of the minute before: to read, or to let a '
    'consumer read again, from a time on. -infinity: the last id that is not kept any more. RC010 null.';

revoke all on function recovery.event_since(timestamptz) from public;
