create or replace function recovery._check_supervision(p_watch recovery.watch)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table  regclass := p_watch.relation;
    v_cancel text := p_watch.supervised ->> 'cancel';
begin
    if v_cancel is null or v_cancel not in ('row', 'group') then
        perform recovery._fail('RC006',
            format('cancel %s of %s is not known', coalesce(quote_literal(v_cancel), 'null'), v_table),
            'Allowed are row and group.');
    elsif v_cancel = 'group' and p_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no group to cancel', v_table),
            'Attach it with p_group, or cancel rows.');
    elsif p_watch.supervised ->> 'child' is not null and p_watch.group_by is null then
        perform recovery._fail('RC006', format('%s has no groups, so a row cannot wait for one', v_table),
            'Attach it with p_group.');
    elsif p_watch.started is null then
        perform recovery._fail('RC006', format('the watchdog needs to know when work of %s started', v_table),
            'Give p_started, such as created_at.');
    end if;
end
$$;

comment on function recovery._check_supervision(recovery.watch) is
    'Refuses the arguments of recovery.supervise that cannot work: RC006.';

revoke all on function recovery._check_supervision(recovery.watch) from public;
