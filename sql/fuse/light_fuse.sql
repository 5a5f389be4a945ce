create or replace function recovery.light_fuse(
    p_watch         text,
    p_key           text,
    p_ttl           interval,
    p_host          text        default null,
    p_pid           integer     default null,
    p_process_start timestamptz default null,
    p_scope         text        default 'row',
    p_nonce         uuid        default null
)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_family text := recovery._check_unit(p_watch, p_scope, p_key, 'fuse');
    v_id     bigint;
begin
    perform recovery._check_ttl(p_ttl);
    perform recovery._check_process(p_host, p_pid, p_process_start, false);
    insert into recovery.fuse as f (family, scope, watch, key, host, pid, process_start, ttl, expires, nonce)
    values (v_family, p_scope, case p_scope when 'row' then p_watch else '' end, p_key, p_host, p_pid, p_process_start,
        p_ttl, recovery._now() + p_ttl, p_nonce)
    -- A driver repeats a call whose answer was lost.
    on conflict (nonce) do update set expires = greatest(f.expires, excluded.expires)
    returning f.id into v_id;
    return v_id;
end
$$;

comment on function recovery.light_fuse(text, text, interval, text, integer, timestamptz, text, uuid) is
    'Lights a fuse on a row or group of a watch and returns its id. A unit may have several, each with its process; '
    'it is guarded while any burns. A call repeated with the same nonce makes no second one. RC008 not watched, RC010 '
    'bad argument.';

revoke all on function recovery.light_fuse(text, text, interval, text, integer, timestamptz, text, uuid) from public;
