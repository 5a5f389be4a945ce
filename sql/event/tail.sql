create or replace function recovery.tail(out newest bigint, out gaps int8multirange)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_more boolean := true;
    v_page record;
begin
    newest := recovery._check_after(recovery._settled());
    gaps := '{}';
    while v_more loop
        select s.o_newest, s.o_gaps, s.o_full into v_page
        from recovery._scan(newest, gaps, 100000, row('{}', null, null, null, null, null), null) as s;
        newest := v_page.o_newest;
        gaps := v_page.o_gaps;
        v_more := v_page.o_full;
    end loop;
end
$$;

comment on function recovery.tail() is
    'The position of a consumer that wants what becomes visible from now on: the newest id, and those below that may '
    'still appear. For recovery.page().';

revoke all on function recovery.tail() from public;
