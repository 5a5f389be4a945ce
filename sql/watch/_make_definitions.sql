create or replace function recovery._make_definitions(p_watch recovery.watch)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner := recovery._runner_of(p_watch.relation);
    v_owner  regrole;
    v_schema regnamespace;
    v_define record;
    v_state  text;
    v_error  text;
    v_what   text;
    v_other  record;
begin
    select c.relowner, c.relnamespace into v_owner, v_schema from pg_class as c where c.oid = p_watch.relation;
    v_what := case
        when exists (
            select from pg_class as c where c.relnamespace = v_schema and c.relname = 'recovery_open_' || p_watch.id)
        then 'the started expression' else 'the open or group expression' end;
    -- What is made reaches the partitions, and may belong to others there.
    select p.relation, p.owner into v_other from recovery._partitions_of(p_watch.relation) as p
    where not v_runner.privileged and not pg_has_role(v_runner.role, p.owner, 'usage') limit 1;
    if not v_runner.privileged and v_other.relation is null and has_schema_privilege(v_owner, v_schema, 'create') then
        perform recovery._define_watch(p_watch.relation);
    elsif v_runner.privileged or p_watch.plain then
        -- With the caller's rights: the runner is no owner here, or may not make an index in this schema.
        for v_define in select d.name, d.statement from recovery._watch_definitions(p_watch) as d loop
            execute v_define.statement;
        end loop;
        perform recovery._check_definitions(p_watch.relation);
    elsif v_other.relation is not null then
        perform recovery._fail('42501', format('expressions of %s use types of the host, and its partition %s belongs '
            'to %s', p_watch.relation, v_other.relation, v_other.owner));
    else
        perform recovery._fail('42501', format('%s may not create in schema %s', v_owner, v_schema));
    end if;
exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
    if v_state like 'RC%' then
        raise;
    elsif v_state = '42501' then
        perform recovery._fail('42501', v_error,
            case when v_other.relation is null
                then format('attach makes an index beside the table: grant create on schema %s to %s;', v_schema,
                    v_owner)
                else format('alter table %s owner to %s;', v_other.relation, v_owner) end);
    end if;
    perform recovery._fail('RC006', format('%s for %s does not work: %s', v_what, p_watch.relation, v_error),
        'It stands in an index, and must be immutable.');
end
$$;

comment on function recovery._make_definitions(recovery.watch) is
    'Makes the index and the triggers that the table of a watch does not have: as the runner, or with the rights of '
    'the caller where the runner may not. RC006 they cannot work, 42501 no right to make an index.';

revoke all on function recovery._make_definitions(recovery.watch) from public;
