create or replace function recovery.orphaned(p_name text default null)
returns table (family text, epoch bigint, reason text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch record;
begin
    for v_watch in select w.name, w.family, w.started, w.unowned from recovery.attached() as w order by w.family, w.position loop
        return query
            select v_watch.family, s.epoch, s.reason
            from unnest(recovery.open_epochs(v_watch.name)) as o (epoch)
            join recovery.server as s on s.epoch = o.epoch
            where s.ended is not null and (p_name is null or s.name = p_name);
        if v_watch.unowned is not null then
            return query select v_watch.family, null::bigint, 'unowned'::text;
        end if;
    end loop;
end
$$;

comment on function recovery.orphaned(text) is
    'Families and ended epochs that still own open rows (of one server name, or all); epoch null stands for rows that no server owns.';

revoke all on function recovery.orphaned(text) from public;
