create or replace function recovery.pending_cancellations(p_epoch bigint)
returns table (id bigint, watch text, scope text, key text, reason text, detail jsonb, requested timestamptz,
    deadline timestamptz)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.id, c.detail ->> 'watch', c.scope, c.key, c.reason, c.detail, c.requested, c.deadline
    from recovery.cancellation as c where c.server_epoch = p_epoch order by c.id
$$;

comment on function recovery.pending_cancellations(bigint) is
    'What a server is asked to stop and has not acknowledged.';

revoke all on function recovery.pending_cancellations(bigint) from public;
