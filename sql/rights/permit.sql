create or replace function recovery.permit(p_owner regrole)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery._make_runner(p_owner);
    execute format('grant usage on schema recovery to %s', p_owner);
    -- Row security lets an owner see and write the watches of its own tables only.
    execute format('grant select, insert (relation, spec, path, attached),
        update (spec, path, supervised, attached), delete
        on recovery.watch to %s', p_owner);
    execute format('grant select on recovery.broken_watch to %s', p_owner);
    execute format('grant execute on function
        recovery._fail(text, text, text),
        recovery._owns_table(regclass),
        recovery._check_owner(regclass),
        recovery._check_table(regclass),
        recovery._partitions_of(regclass),
        recovery._check_partitions(regclass),
        recovery._left_partitions(regclass),
        recovery._clean_partitions(regclass),
        recovery._prepare_runner(regclass),
        recovery._lacks_runner(recovery.runner),
        recovery._add_owner_column(recovery.watch),
        recovery._runner_of(regclass),
        recovery._realias_sql(text, text),
        recovery._has_rewriting_trigger(regclass),
        recovery._is_stale(regclass),
        recovery._lacks_loan(regclass),
        recovery._complete_watch(recovery.watch),
        recovery._make_definitions(recovery.watch),
        recovery._define_watch(regclass),
        recovery._comment_triggers(regclass),
        recovery._watch_definitions(recovery.watch),
        recovery._check_definitions(regclass),
        recovery._drop_triggers(regclass),
        recovery._lend_table(regclass, name),
        recovery._reclaim_table(regclass, name),
        recovery._rehearse_watch(regclass),
        recovery._forget_dropped(),
        recovery._watches_in_the_way(text),
        recovery._rehearse_closing(regclass),
        recovery._differs(recovery.watch, recovery.watch),
        recovery._same_definitions(recovery.watch, recovery.watch),
        recovery._watch_flaw(recovery.watch),
        recovery._watch_indexes(recovery.watch),
        recovery._index_problem(recovery.watch, text, text),
        recovery._find_index(regclass, text),
        recovery._index_steps(recovery.watch, text, text, interval),
        recovery._repair_indexes(recovery.watch),
        recovery._replace_indexes(recovery.watch, recovery.watch),
        recovery._lock_table(regclass, text),
        recovery._yield_triggers(recovery.watch),
        recovery._brief_sql(text, interval),
        recovery._run_briefly(text, interval),
        recovery._check_definer(recovery.watch),
        recovery._finish_attach(regclass),
        recovery._begin_detach(regclass),
        recovery._altered_watch(recovery.watch, jsonb),
        recovery._changed_spec(regclass, jsonb, jsonb),
        recovery._index_sql(recovery.watch, text, regclass, text, text),
        recovery._render_sql(text, jsonb),
        recovery._lock_holders(regclass),
        recovery.attach_steps(regclass, interval),
        recovery.alter_steps(regclass, jsonb, interval),
        recovery.detach_steps(regclass, interval),
        recovery.alter(regclass, jsonb),
        recovery.detach(regclass),
        recovery.compare_watch(regclass, jsonb, jsonb),
        recovery._spec_defaults(jsonb),
        recovery.supervise(regclass, text, text, text, text, text, text, text),
        recovery.unsupervise(regclass)
        to %s', p_owner);
end
$$;

comment on function recovery.permit(regrole) is
    'The one statement by which a DBA permits the owner of tables to attach them: makes its runner and grants what '
    'recovery.attach needs. It gives no right on anybody else''s tables, nor on servers, tokens or events. Repeating '
    'it repairs. As recovery._make_runner; RC010 no such role.';

revoke all on function recovery.permit(regrole) from public;
