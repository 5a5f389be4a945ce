create or replace function recovery._problem_of(p_pid bigint, p_start timestamptz, p_until timestamptz default null)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The clocks of two machines differ: a start a little ahead of ours is one that has passed.
    select case
        when p_pid <= 0 then format('pid %s is not above 0', p_pid)
        when not isfinite(p_start) then format('start %s is not finite', p_start)
        when p_start > greatest(clock_timestamp(), recovery._now()) + interval '5 minutes'
            then format('start %s is in the future', p_start)
        when not isfinite(p_until) then format('end %s is not finite', p_until) end
$$;

comment on function recovery._problem_of(bigint, timestamptz, timestamptz) is
    'What is impossible about a process (pid, start) or a fuse (its end), in words; null: nothing.';

revoke all on function recovery._problem_of(bigint, timestamptz, timestamptz) from public;
