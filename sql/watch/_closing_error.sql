create or replace function recovery._closing_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows  jsonb[];
    v_row   jsonb;
    v_tried record;
    v_error jsonb;
    v_count integer := 0;
begin
    begin
        v_rows := array(
            select f.row
            from recovery._run_as_owner(p_watch.runner, recovery._render_sql($sql$
                select jsonb_build_array({parts}, r.server_epoch)
                from {relation} as r where ({open}) and ({meant}) limit 5
                $sql$, jsonb_build_object(
                'parts', recovery._key_sql(p_watch, 'parts'),
                'relation', p_watch.relation,
                'open', p_watch.open,
                'meant', coalesce(p_watch.only_if, 'true')))) as f (row));
    exception when query_canceled then
        raise;
    when others then
        v_rows := '{}';  -- a row that can't be read says nothing of the others
    end;
    foreach v_row in array v_rows loop
        v_tried := recovery._try_closing(p_watch, recovery._to_texts(v_row -> 0), (v_row ->> 1)::bigint);
        if v_tried.o_done then
            return null;
        elsif v_tried.o_error is not null then
            v_count := v_count + 1;
            v_error := coalesce(v_error, v_tried.o_error);
        end if;
    end loop;
    -- One bad row blocks nothing; some, one after the other, are no accident.
    if v_error is null or v_count < 3 and not recovery._is_certain_error(p_watch, v_error) then
        v_error := recovery._made_up_error(p_watch);
    end if;
    return v_error;
end
$$;

comment on function recovery._closing_error(recovery.watch) is
    'What each closing of a watch fails with, as sqlstate, message, hint; null: nothing is known. To be called where '
    'it is taken back.';

revoke all on function recovery._closing_error(recovery.watch) from public;
