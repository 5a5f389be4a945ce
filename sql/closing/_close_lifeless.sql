create or replace function recovery._close_lifeless(
    p_detector text, p_limit integer, p_lock_wait interval,
    out o_closed jsonb, out o_failed jsonb, out o_more boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now    timestamptz := recovery._now();
    v_first  record;
    v_keys   text[];
    v_groups text[];
    v_batch  record;
    v_limit  integer := p_limit;
begin
    perform recovery._check_fresh();
    o_closed := '{}';
    o_failed := '{}';
    -- One batch a call: the caller commits. Rows with a group close by groups, others by themselves.
    select l.watch, l.group_key is null as alone, w.family into v_first
    from recovery.lifeless_state as l join recovery._attached_watches() as w on w.name = l.watch
    where l.dead and l.retry_at <= v_now order by 1, 2 limit 1;
    o_more := found;
    if not found then
        return;
    end if;
    -- Another sweeper's rows are skipped. What is tried is not tried again at once, whatever comes of it.
    with batch as (
        select l.watch, l.key, l.group_key from recovery.lifeless as l
        where l.watch = v_first.watch and (l.group_key is null) = v_first.alone and l.retry_at <= v_now
          and exists (select from recovery.lifeless_state as s where s.watch = l.watch and s.key = l.key and s.dead)
        order by l.group_key, l.key limit p_limit for update skip locked
    ), tried as (
        update recovery.lifeless as l set retry_at = v_now + interval '5 seconds'
        from batch as b where l.watch = b.watch and l.key = b.key
    )
    select array_agg(b.key order by b.group_key, b.key), array_agg(distinct b.group_key)
    into v_keys, v_groups from batch as b;
    if v_keys is null then
        o_more := false;
        return;
    end if;
    begin
        loop
            -- Skips locked rows: who holds one may be about to say that the work lives.
            select s.* into v_batch from recovery._close_selection(v_first.family, 'lifeless', null,
                case when recovery._has_fuses(v_first.family) then 'without' else 'ignore' end,
                case when not v_first.alone then recovery._group_tree(v_first.family, v_groups, false) end,
                null, null, null, v_limit, 'not_alive', p_detector, p_lock_wait, true, null,
                v_first.watch, v_keys) as s;
            exit when not v_batch.o_split;
            v_limit := v_limit / 8;
            v_keys := v_keys[1:v_limit];
        end loop;
        o_closed := v_batch.o_closed;
        o_failed := v_batch.o_failed;
        update recovery.lifeless as l set retry_at = '-infinity'
        where l.watch = v_first.watch and l.retry_at = v_now + interval '5 seconds' and v_limit < p_limit
          and l.key <> all(v_keys);
        -- A row that is opened again before the next look is another run.
        delete from recovery.lifeless as l
        where l.watch = v_first.watch and l.key = any(v_keys)
          and (o_closed ->> v_first.watch)::bigint = cardinality(v_keys);
    exception when others then
        perform recovery._note_broken_watch(v_first.watch, sqlstate, sqlerrm);
    end;
end
$$;

comment on function recovery._close_lifeless(text, integer, interval) is
    'Closes up to p_limit rows that are dead by the evidence of the host''s own tables, whoever owns them; each only '
    'if that still says so, and no active fuse guards it. o_more false: there were none, or another sweeper has them.';

revoke all on function recovery._close_lifeless(text, integer, interval) from public;
