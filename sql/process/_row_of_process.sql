create or replace function recovery._row_of_process(
    p_process recovery.process, out o_group text, out o_owner bigint, out o_open boolean, out o_guarded boolean
)
returns record
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch;
    v_task  recovery.task;
    v_found jsonb;
    v_wait  text := current_setting('lock_timeout');
begin
    select w.* into v_watch from recovery._attached_watches() as w where p_process.scope = 'row'
        and w.name = p_process.watch;
    if not found then
        return;
    end if;
    v_task.keys := recovery._key_parts(v_watch, p_process.key);
    -- A table that is being altered must not hold up a boot.
    perform set_config('lock_timeout', '1s', true);
    -- By the columns of the primary key, each in its own type: that is one probe of its index.
    select f.* into v_found from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        select jsonb_build_array(({group})::text, r.server_epoch, coalesce(({open}), false), {guarded})
        from {relation} as r
        where {key_is}
        $sql$, jsonb_build_object(
        'group', coalesce(v_watch.group_by, 'null'),
        'open', v_watch.open,
        'guarded', recovery._guard_sql(v_watch),
        'relation', v_watch.relation,
        'key_is', recovery._key_sql(v_watch, 'equal'))), v_task) as f;
    o_group := v_found ->> 0;
    o_owner := v_found ->> 1;
    o_open := v_found ->> 2;
    o_guarded := v_found ->> 3;
    perform set_config('lock_timeout', v_wait, true);
exception
    when data_exception then
        null;  -- a key that no row can have
    when others then
        raise warning 'the row % of "%" cannot be looked at: %', p_process.key, p_process.watch, sqlerrm;
        o_open := true;
        o_guarded := true;
end
$$;

comment on function recovery._row_of_process(recovery.process) is
    'The row that a process works on as it is now: its group, its owner, whether it is open, whether a fuse guards '
    'it. All null if there is no such row; if it cannot be looked at, it counts as guarded.';

revoke all on function recovery._row_of_process(recovery.process) from public;
