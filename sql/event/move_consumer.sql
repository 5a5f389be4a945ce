create or replace function recovery.move_consumer(p_name text, p_after bigint default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tail   record;
    v_newest bigint;
    v_gaps   int8multirange := '{}';
begin
    if p_after is null then
        select t.newest, t.gaps into v_tail from recovery.tail() as t;
        v_newest := v_tail.newest;
        v_gaps := v_tail.gaps;
    else
        v_newest := recovery._check_after(p_after);
    end if;
    perform recovery._find_consumer(p_name);
    update recovery.consumer as c
    set newest = v_newest, gaps = v_gaps, page = recovery._next_page(c.page),
        page_last = null, page_newest = null, page_gaps = null,
        seen = clock_timestamp()
    where c.name = p_name;
    return coalesce(lower(v_gaps) - 1, v_newest);
end
$$;

comment on function recovery.move_consumer(text, bigint) is
    'Lets a consumer read again, or go on, after an id that is still kept, or (null) from now on. Receipts that were '
    'given out no longer count. RC014 no such consumer, RC010 negative id.';

revoke all on function recovery.move_consumer(text, bigint) from public;
