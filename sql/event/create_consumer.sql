create or replace function recovery.create_consumer(
    p_name    text,
    p_after   bigint   default null,
    p_watch   text[]   default null,
    p_group   text[]   default null,
    p_reason  text[]   default null,
    p_kind    text[]   default null,
    p_topic   text[]   default null,
    p_epoch   bigint[] default null,
    p_expires interval default interval '7 days'
)
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
    if p_name is null or btrim(p_name) = '' or octet_length(p_name) > 200 or p_name ~ '[[:cntrl:]]' then
        perform recovery._fail('RC010',
            format('consumer name %s is not allowed', coalesce(quote_literal(left(p_name, 60)), 'null')),
            'Give 1 to 200 bytes without control characters.');
    end if;
    perform recovery._check_kinds(p_kind);
    perform recovery._check_interval('expires', p_expires, interval '1 minute', interval '10 years');
    if p_after is not null then
        v_newest := recovery._check_after(p_after);
    elsif not exists (select from recovery.consumer as c where c.name = p_name) then
        select t.newest, t.gaps into v_tail from recovery.tail() as t;
        v_newest := v_tail.newest;
        v_gaps := v_tail.gaps;
    end if;
    insert into recovery.consumer as c (name, wanted, newest, gaps, expires)
    values (p_name, row(p_watch, p_group, p_reason, p_kind, p_topic, p_epoch), coalesce(v_newest, 0),
            v_gaps, p_expires)
    on conflict (name) do update set wanted = excluded.wanted, expires = excluded.expires
    where (c.wanted, c.expires) is distinct from (excluded.wanted, excluded.expires);
    return (select coalesce(lower(c.gaps) - 1, c.newest) from recovery.consumer as c where c.name = p_name);
end
$$;

comment on function recovery.create_consumer(
    text, bigint, text[], text[], text[], text[], text[], bigint[], interval
) is
    'Makes a named consumer whose position the database keeps, and returns the id after which it reads: p_after, or '
    'now. One that exists keeps its position; its filters and expiry become these. It counts as abandoned when it has '
    'not fetched for p_expires. RC010 bad name, id, kind or interval.';

revoke all on function recovery.create_consumer(
    text, bigint, text[], text[], text[], text[], text[], bigint[], interval
) from public;
