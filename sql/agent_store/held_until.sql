create or replace function agent.held_until(p_session text, p_part text)
returns timestamptz
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select to_timestamp(max(coalesce(h.time_ended, h.until)) / 1000.0)
    from agent.hold as h
    where h.session_id = p_session and (h.part_id is null or p_part is null or h.part_id = p_part)
$$;

comment on function agent.held_until(text, text) is
    'When a part (null: anything in the session) last stopped waiting: its clock goes on from there.';

revoke all on function agent.held_until(text, text) from public;
