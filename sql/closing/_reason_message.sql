create or replace function recovery._reason_message(p_reason text)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case p_reason
        when 'superseded' then 'server restart'
        when 'shutdown' then 'server shutdown'
        when 'lease_expired' then 'server lost'
        when 'connection_lost' then 'server lost'
        when 'process_dead' then 'process died'
        when 'drain_expired' then 'drain limit reached'
        when 'evicted' then 'server evicted'
        when 'epoch_lost' then 'server lost'
        when 'fuse_expired' then 'no sign of life from its process'
        when 'tool_timeout' then 'tool timed out'
        when 'task_timeout' then 'task timed out'
        when 'idle_timeout' then 'no activity'
        when 'wall_timeout' then 'time limit reached'
        when 'not_alive' then 'no sign of life'
        when 'unowned' then 'no server owns it'
        when 'row_gone' then 'its row is gone'
        else replace(p_reason, '_', ' ')
    end
$$;

comment on function recovery._reason_message(text) is
    'A reason in words for people: c.message in the expressions of a watch.';

revoke all on function recovery._reason_message(text) from public;
