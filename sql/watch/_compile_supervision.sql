create or replace function recovery._compile_supervision(p_watch recovery.watch)
returns recovery.watch
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_given jsonb := p_watch.supervised;
    v_table regclass := p_watch.relation;
begin
    if v_given is null then
        v_watch.cancel := 'row';
        v_watch.kind := null;
        v_watch.activity := null;
        v_watch.timeout := null;
        v_watch.hold := null;
        v_watch.child := null;
        return v_watch;
    end if;
    perform recovery._check_supervision(v_watch);
    v_watch.cancel := v_given ->> 'cancel';
    v_watch.kind := (recovery._compile_expression(v_table, 'kind', v_given ->> 'kind', 'text')).o_text;
    v_watch.activity := (
        recovery._compile_expression(v_table, 'activity', v_given ->> 'activity', 'timestamptz')).o_text;
    v_watch.timeout := (recovery._compile_expression(v_table, 'timeout', v_given ->> 'timeout', 'interval')).o_text;
    v_watch.hold := (recovery._compile_expression(v_table, 'hold', v_given ->> 'hold', 'boolean')).o_text;
    v_watch.child := (
        recovery._compile_expression(v_table, 'child', v_given ->> 'child', v_watch.group_type)).o_text;
    return v_watch;
end
$$;

comment on function recovery._compile_supervision(recovery.watch) is
    'Step of recovery._compile_watch: what the watchdog was told by recovery.supervise.';

revoke all on function recovery._compile_supervision(recovery.watch) from public;
