create or replace function agent.told(p_output pg_catalog.text, p_reason pg_catalog.text)
returns pg_catalog.text
language sql
stable
security invoker
as $$
    -- As opencode's bash ends its output when it is stopped. Without a SET clause, so that it is inlined. All names are
    -- qualified.
    select pg_catalog.concat_ws(E'\n\n', case when p_output operator(pg_catalog.<>) '' then p_output end,
        pg_catalog.concat(E'<shell_metadata>\n', p_reason, E'\n</shell_metadata>'))
$$;

comment on function agent.told(text, text) is
    'What a tool had put out, and behind it why it ended: the model must not take it for a success.';

revoke all on function agent.told(text, text) from public;
