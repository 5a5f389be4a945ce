create or replace function recovery._fence_write(p_owner bigint, p_opens boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_writer bigint := recovery._writer_epoch();
begin
    if v_writer is not null and p_opens then
        perform recovery.assert_accepting(v_writer);
    elsif v_writer is not null then
        perform recovery.assert_live(v_writer);
    end if;
    -- Work may not be opened under, or given to, an epoch that has ended.
    if p_owner is distinct from v_writer and p_owner is not null then
        perform recovery.assert_live(p_owner);
    end if;
end
$$;

comment on function recovery._fence_write(bigint, boolean) is
    'The whole fence of a write: its writer is live (and accepts new work, if it opens some), and so is the owner '
    'that it gives the row. RC001, RC002, RC011.';

revoke all on function recovery._fence_write(bigint, boolean) from public;
