create or replace function recovery.preview(p_boot text default null)
returns table (action text, reason text, watch text, key text, group_key text, server_epoch bigint)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_due   record;
    v_end   record;
    v_fuse  record;
    v_unit  recovery.unit;
    v_fuses boolean;
    v_holes jsonb;
    v_task  recovery.task;
begin
    v_task.at := recovery._now();
    for v_watch in select w.* from recovery._attached_watches() as w order by w.family, w.position, w.name loop
        begin
            v_fuses := recovery._has_guards(v_watch.family);
            v_holes := jsonb_build_object(
                'key', recovery._key_text(v_watch.key_columns, 'r'),
                'group', coalesce('(' || v_watch.group_by || ')::text', 'null::text'),
                'relation', v_watch.relation);
            for v_end in
                select s.epoch, coalesce(s.reason, j.reason, 'superseded') as reason
                from recovery.server as s left join recovery.judgement as j on j.epoch = s.epoch and j.dead
                where s.epoch = any(recovery._open_epochs(v_watch.name))
                    and not recovery._is_elsewhere(v_watch.family, s.epoch)
                  and case when p_boot is null then s.ended is not null or j.dead
                           else s.name = p_boot and (s.ended is not null or j.dead
                               or s.drain_until is null and not recovery._is_sibling(s, s.host, null, null)) end
            loop
                v_task.epoch := v_end.epoch;
                return query select f.row ->> 0, v_end.reason, v_watch.name, f.row ->> 1, f.row ->> 2, v_end.epoch
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                        select jsonb_build_array(case when {guarded} then {spare!l} else 'close' end, {key}, {group})
                        from {relation} as r
                        where {closable}
                        $sql$, v_holes || jsonb_build_object(
                        'guarded', case when v_fuses then concat_ws(' or ', recovery._guard_sql(v_watch),
                                recovery._life_sql(v_watch, case when p_boot is null then 'spares' else 'guards' end))
                            else 'false' end,
                        'spare', case when p_boot is null then 'keep' else 'adopt' end,
                        'closable', recovery._closable_sql(v_watch, 'epoch', 'ignore'))), v_task) as f (row);
            end loop;
            if v_watch.owner is not null and not recovery._is_replicated(v_watch.family) then
                return query select 'adopt'::text, 'adopted'::text, v_watch.name, f.row ->> 0, f.row ->> 1, null::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
                        select jsonb_build_array({key}, {group}) from {relation} as r
                        where r.server_epoch is null and ({open}) and {named}
                        $sql$, v_holes || jsonb_build_object(
                        'open', v_watch.open,
                        'named', case when p_boot is null then recovery._is_named_sql(v_watch)
                            else format('(%s) = %L', v_watch.owner, p_boot) end))) as f (row);
            end if;
            if v_watch.alive is not null and p_boot is null and not recovery._is_replicated(v_watch.family) then
                v_task.epoch := null;
                v_task.epochs := recovery._open_epochs(v_watch.name);
                v_task.key := v_watch.name;
                v_task.marked := array(
                    select l.key from recovery.lifeless_state as l where l.watch = v_watch.name and l.dead);
                return query select 'close'::text, 'not_alive'::text, v_watch.name, f.row ->> 0, f.row ->> 1,
                        (f.row ->> 2)::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                        'select jsonb_build_array({key}, {group}, r.server_epoch) from {relation} as r'
                        ' where {closable}',
                        v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, 'lifeless',
                            case when v_fuses then 'without' else 'ignore' end))), v_task) as f (row);
            end if;
            if v_watch.unowned is not null and not recovery._is_replicated(v_watch.family) then
                v_task.epoch := null;
                return query select 'close'::text, 'unowned'::text, v_watch.name, f.row ->> 0, f.row ->> 1, null::bigint
                    from recovery._run_as_owner(v_watch.runner, recovery._render_sql(
                        'select jsonb_build_array({key}, {group}) from {relation} as r where {closable}',
                        v_holes || jsonb_build_object('closable', recovery._closable_sql(v_watch, 'none',
                            case when v_watch.alive is null then 'ignore' else 'without' end))),
                        v_task) as f (row);
            end if;
        exception when others then
            raise warning 'recovery: watch "%" is passed over: %', v_watch.name, sqlerrm;
        end;
    end loop;
    if p_boot is not null then
        return;
    end if;
    for v_fuse in select f.* from recovery.fuse_state as f where f.spent and not exists (
        select from recovery.fuse_state as o
        where o.family = f.family and o.scope = f.scope and o.key = f.key
          and (o.scope = 'group' or o.watch = f.watch) and o.burns) order by f.id
    loop
        v_unit := (v_fuse.family, v_fuse.scope, v_fuse.watch, v_fuse.key);
        return query select 'close'::text,
            case when v_fuse.process_dead is null then 'fuse_expired' else 'process_dead' end,
            o.watch, o.key, o.group_key, o.server_epoch from recovery._unit_rows(v_unit) as o;
    end loop;
    for v_due in select d.* from recovery._due_units() as d loop
        v_unit := (v_due.family, v_due.scope, v_due.watch, v_due.key);
        return query
            select case
                       when exists (select from recovery.server as s where s.epoch = v_due.owner and s.ended is null)
                           and recovery.get_setting('cancel_grace', v_unit.watch, v_due.detail ->> 'kind',
                               case v_unit.scope when 'group' then v_unit.key end)::interval > interval '0'
                           and not exists (
                               select from recovery.cancellation as c
                               where c.family = v_unit.family and c.scope = v_unit.scope and c.key = v_unit.key
                                 and (c.scope = 'group' or c.watch = v_unit.watch) and c.deadline <= recovery._now())
                       then 'ask' else 'close' end,
                   v_due.reason, o.watch, o.key, o.group_key, o.server_epoch
            from recovery._unit_rows(v_unit) as o;
    end loop;
end
$$;

comment on function recovery.preview(text) is
    'What a sweep would do now, or with p_boot a boot of that name: rows with action (close, adopt, keep, ask) and '
    'reason. Nothing is done.';

revoke all on function recovery.preview(text) from public;
