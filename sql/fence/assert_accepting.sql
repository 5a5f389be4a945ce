create or replace function recovery.assert_accepting(p_epoch bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
begin
    perform recovery.assert_live(p_epoch);
    select s.name into v_name from recovery.server as s where s.epoch = p_epoch and s.drain_until is not null;
    if found then
        perform recovery._fail('RC011',
            format('epoch %s of server "%s" is draining: it opens no new work', p_epoch, v_name),
            'Send new work to another server.');
    end if;
end
$$;

comment on function recovery.assert_accepting(bigint) is
    'As recovery.assert_live, and RC011 if the server is draining: may it open new work?';

revoke all on function recovery.assert_accepting(bigint) from public;
