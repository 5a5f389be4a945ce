create or replace function recovery._close_burnt_fuse(
    p_detector text, p_lock_wait interval, out o_closed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_fuse  record;
    v_watch text;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    -- One fuse a call: the caller commits. Another sweeper's fuse is skipped, an extension just committing is waited
    -- out by nobody.
    select f.* into v_fuse from recovery.fuse_state as f where f.spent and f.retry_at <= recovery._now()
    order by f.id limit 1 for update skip locked;
    o_more := found;
    if not found then
        return;
    end if;
    -- Another fuse burns there: the unit is not over for this one's sake.
    if exists (
        select from recovery.fuse_state as f
        where f.family = v_fuse.family and f.scope = v_fuse.scope and f.watch = v_fuse.watch and f.key = v_fuse.key
            and f.id <> v_fuse.id and f.burns
    ) then
        delete from recovery.fuse as f where f.id = v_fuse.id;
        return;
    end if;
    v_watch := case v_fuse.scope when 'row' then v_fuse.watch
                    else (select min(w.name) from recovery._attached_watches() as w where w.family = v_fuse.family) end;
    begin
        o_closed := recovery._close_unit(v_watch, v_fuse.scope, v_fuse.key,
            case when v_fuse.process_dead is null then 'fuse_expired' else 'process_dead' end, p_detector, p_lock_wait);
        -- A break in watching, noticed while the unit closed, has kept the unit: then the fuse stays, too.
        delete from recovery.fuse as f using recovery.fuse_state as s where f.id = v_fuse.id and s.id = f.id
            and s.spent;
    exception when others then
        perform recovery._note_broken_watch(coalesce(v_watch, v_fuse.family), sqlstate, sqlerrm);
        update recovery.fuse as f set retry_at = recovery._now() + interval '10 seconds' where f.id = v_fuse.id;
    end;
end
$$;

comment on function recovery._close_burnt_fuse(text, interval) is
    'Takes one fuse that burnt out or whose process died, closes its unit for the reason that is true unless another '
    'fuse burns there, and removes it. o_more false: there was none.';

revoke all on function recovery._close_burnt_fuse(text, interval) from public;
