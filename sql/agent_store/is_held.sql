create or replace function agent.is_held(p_session text, p_part text)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from agent.hold as h
        where h.session_id = p_session and (h.part_id is null or p_part is null or h.part_id = p_part)
          and h.time_ended is null and (h.until is null or to_timestamp(h.until / 1000.0) > (select recovery._now())))
$$;

comment on function agent.is_held(text, text) is
    'Whether a part (null: anything in the session) waits for a human or a provider.';

revoke all on function agent.is_held(text, text) from public;
