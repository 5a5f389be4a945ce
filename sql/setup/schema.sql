-- pg-recovery's own environment has made the schema, for its version table. Nothing else may be in it: a downgrade
-- would drop it, and whoever owns a schema or a function in it could slip us theirs.
do $$
begin
    if to_regnamespace('recovery') is null then
        create schema recovery;
    elsif exists (
            select from pg_depend as d
            where d.refclassid = 'pg_namespace'::regclass and d.refobjid = to_regnamespace('recovery')
              and (d.classid <> 'pg_class'::regclass
                  or d.objid is distinct from to_regclass('recovery.alembic_version')))
        or not exists (
            select from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
            where n.nspname = 'recovery' and (r.rolname in (current_user, 'recovery_owner') or r.rolsuper))
    then
        raise exception using
            errcode = 'duplicate_schema',
            message = 'schema "recovery" is in use already',
            hint = 'If `recovery migrate` installed it: `alembic stamp` its revisions here, then drop table '
                'recovery.alembic_version. Else rename the schema.';
    end if;
end
$$;

comment on schema recovery is
    'Crash recovery of in-flight work: servers, watches, durable events, and the routines that close orphans.';

revoke all on schema recovery from public;

create schema recovery_private;

comment on schema recovery_private is
    'The functions by which runners execute what stands in their owners'' tables: recovery_owner alone can name them.';

revoke all on schema recovery_private from public;
