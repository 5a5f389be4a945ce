create or replace function recovery.acknowledge(p_receipt text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parts    constant text[] := regexp_match(p_receipt, '^(.*)\.([0-9]{1,18})\.([0-9]{1,18})$');
    v_id       constant bigint := v_parts[3]::bigint;
    v_consumer recovery.consumer;
    v_done     int8multirange;
begin
    if v_parts is null then
        perform recovery._fail('RC010',
            format('receipt %s is not allowed', coalesce(quote_literal(left(p_receipt, 60)), 'null')),
            'Give the receipt of an event as recovery.fetch() returned it.');
    end if;
    v_consumer := recovery._find_consumer(v_parts[1]);
    if v_consumer.page < v_parts[2]::bigint then
        perform recovery._fail('RC016',
            format('the fetch of consumer %s that gave this receipt was lost in a failover', quote_literal(v_parts[1])),
            'Fetch again: what still exists, and is not acknowledged, comes again.');
    elsif v_consumer.page <> v_parts[2]::bigint then
        perform recovery._fail('RC015',
            format('a newer fetch of consumer %s has taken over', quote_literal(v_parts[1])),
            'Another process reads as this consumer, or this one has fetched again: what is not acknowledged comes '
            'there.');
    end if;
    -- Up to the event it stands as it stood after the fetch, above it as before.
    v_done := int8multirange(int8range(null, v_id, '[]'));
    update recovery.consumer as c
    set newest = case when v_id >= c.page_last then c.page_newest else greatest(c.newest, v_id) end,
        gaps = case when v_id >= c.page_last then c.page_gaps else (c.page_gaps * v_done) + (c.gaps - v_done) end,
        seen = clock_timestamp()
    where c.name = v_parts[1] and c.page_last is not null;
end
$$;

comment on function recovery.acknowledge(text) is
    'This event of a fetch, and all before it in the same fetch, are done. In one transaction with what they led to, '
    'each is done exactly once. RC015: a newer fetch of the consumer has taken over; RC016: this one was lost in a '
    'failover, fetch again; RC014 no such consumer, RC010 not a receipt.';

revoke all on function recovery.acknowledge(text) from public;
