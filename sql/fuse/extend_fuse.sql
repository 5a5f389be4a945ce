create or replace function recovery.extend_fuse(p_fuse bigint, p_ttl interval default null)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_expires timestamptz;
begin
    if p_ttl is not null then
        perform recovery._check_ttl(p_ttl);
    end if;
    -- A burnt-out fuse cannot be brought back: its unit may be closing at this moment. One whose time is over is burnt
    -- out only once a sweep has found that.
    update recovery.fuse as f
    set expires = recovery._now() + coalesce(p_ttl, f.ttl), looked_at = null
    where f.id = p_fuse and f.process_dead is null
        and not exists (select from recovery.fuse_state as s where s.id = f.id and s.burnt)
    returning f.expires into v_expires;
    if not found then
        perform recovery._fail('RC012',
            format('fuse %s is not active: it burnt out, was cancelled, or its process died',
            coalesce(p_fuse::text, 'null')),
            'The work may have been closed; look at its row before you go on.');
    end if;
    return v_expires;
end
$$;

comment on function recovery.extend_fuse(bigint, interval) is
    'Lets a fuse burn for its ttl (or another) from now; as often as you like, there is no fixed end. RC012 if it '
    'burnt out, was cancelled, or its process died.';

revoke all on function recovery.extend_fuse(bigint, interval) from public;
