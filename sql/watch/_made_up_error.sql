create or replace function recovery._made_up_error(p_watch recovery.watch)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_base    text;
    v_set     jsonb;
    v_key     jsonb;
    v_done    boolean;
    v_error   jsonb;
    v_state   text;
    v_text    text;
    v_context text;
begin
    foreach v_base in array array['update', 'insert'] loop
        for v_set in select o.o from recovery._opening_values(p_watch) as o (o) loop
            v_done := false;
            v_error := null;
            begin
                v_key := recovery._make_open_row(p_watch, v_base, v_set);
                if v_key is not null then
                    select c.o_done, c.o_error into v_done, v_error
                    from recovery._try_closing(p_watch, recovery._to_texts(v_key), null) as c;
                end if;
                perform recovery._fail('RX000', 'taken back');
            exception when sqlstate 'RX000' then
                null;
            when query_canceled then
                raise;
            when others then
                -- Such a row can't be made; but names that a trigger of the host does not find, no closing finds.
                get stacked diagnostics v_state = returned_sqlstate, v_text = message_text,
                    v_context = pg_exception_context;
                if v_state like '42%' and v_context ~ 'function (?!recovery)' then
                    v_error := jsonb_build_object('sqlstate', v_state, 'message', v_text);
                end if;
            end;
            if v_done then
                return null;
            elsif v_error is not null and recovery._is_certain_error(p_watch, v_error) then
                return v_error;
            end if;
        end loop;
    end loop;
    return recovery._fixed_values_error(p_watch);
end
$$;

comment on function recovery._made_up_error(recovery.watch) is
    'As recovery._closing_error, where no row is open: of a row that is made to look open, another one of the table or '
    'a new one, by trying the values that its open expression names.';

revoke all on function recovery._made_up_error(recovery.watch) from public;
