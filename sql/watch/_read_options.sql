create or replace function recovery._read_options(p_watch recovery.watch)
returns recovery.watch
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch recovery.watch := p_watch;
    v_spec  jsonb := p_watch.spec;
    v_other regclass;
begin
    v_watch.name := v_spec ->> 'name';
    v_watch.family := coalesce(v_spec ->> 'family', v_watch.name);
    v_watch.position := v_spec ->> 'position';
    v_watch.events := v_spec ->> 'events';
    v_watch.topic := v_spec ->> 'topic';
    v_watch.failed_topics := nullif(recovery._to_texts(v_spec -> 'failed_topics'), '{}');
    v_watch.idle_topics := nullif(recovery._to_texts(v_spec -> 'idle_topics'), '{}');
    v_watch.launch_grace := v_spec ->> 'launch_grace';
    v_watch.unowned := v_spec ->> 'unowned';
    v_watch.attempts := v_spec ->> 'attempts';
    v_watch.max_attempts := case when v_watch.attempts is not null then v_spec ->> 'max_attempts' end;
    v_watch.free_reasons := case when v_watch.attempts is not null
        then coalesce(recovery._to_texts(v_spec -> 'free_reasons'), '{}') end;
    v_watch.not_before := v_spec ->> 'not_before';
    v_watch.alive_lease := v_spec ->> 'alive_lease';
    v_watch.runner := (recovery._runner_of(v_watch.relation)).id;
    if v_watch.runner is null then
        perform recovery._fail('42501',
            format('the owner of %s is not permitted to attach tables', v_watch.relation),
            format('A DBA runs this once: select recovery.permit(%L);',
                (select c.relowner::regrole from pg_class as c where c.oid = v_watch.relation)));
    end if;
    select w.relation into v_other from recovery.watch as w where w.name = v_watch.name and w.id <> v_watch.id;
    if found then
        perform recovery._fail('RC007',
            format('the name "%s" is taken by the watch on %s', v_watch.name, v_other), 'Give another name.');
    end if;
    return v_watch;
end
$$;

comment on function recovery._read_options(recovery.watch) is
    'Step of recovery._compile_watch: the options that are no expressions, and who runs those that are. '
    'RC007 the name is taken, 42501 the owner is not permitted.';

revoke all on function recovery._read_options(recovery.watch) from public;
