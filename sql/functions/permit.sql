create or replace function recovery.permit(p_owner regrole)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform recovery.make_runner(p_owner);
    execute format('grant usage on schema recovery to %s', p_owner);
    -- Row security lets an owner see and write the watches of its own tables only.
    execute format('grant select, insert (relation, spec, path), update (spec, path, supervised), delete on recovery.watch to %s', p_owner);
    execute format('grant execute on function
        recovery.fail(text, text, text),
        recovery.owns(regclass),
        recovery.check_table(regclass),
        recovery.runner_of(regclass),
        recovery.realias(text, text),
        recovery.rewrites(regclass),
        recovery.is_stale(regclass),
        recovery.lacks_loan(regclass),
        recovery.complete(recovery.watch),
        recovery.define_watch(regclass),
        recovery.definitions_of(recovery.watch),
        recovery.check_definitions(regclass),
        recovery.drop_triggers(regclass),
        recovery.lend_table(regclass, name),
        recovery.reclaim_table(regclass, name),
        recovery.rehearse(regclass),
        recovery.detach(regclass),
        recovery.supervise(regclass, text, text, text, text, text, text, text)
        to %s', p_owner);
end
$$;

comment on function recovery.permit(regrole) is
    'The one statement by which a DBA permits the owner of tables to attach them: makes its runner and grants what recovery.attach needs. It gives no right on anybody else''s tables, nor on servers, tokens or events. Repeating it repairs. As recovery.make_runner; RC010 no such role.';

revoke all on function recovery.permit(regrole) from public;
