"""pg-recovery's own Alembic environment: version table in the schema it creates.

Used by recovery.schema and the command `recovery migrate`. A host project
that lists this folder's versions/ in its version_locations runs its own env.py
instead; nothing that a revision needs may be here.

The schema must be there before the version table, and the version table must be
gone before the schema: so this file creates the one before the first revision
and drops both after the last. All in one transaction, one migration at a time.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from recovery.schema.migrations import LOCK

SCHEMA = "recovery"
TABLE = "alembic_version"


def offline() -> None:
    """Writes the SQL of a range of revisions."""
    reached: list[Collection[str]] = []

    def step(ctx: Any, step: Any, heads: Collection[str], run_args: Any) -> None:
        reached.append(set(heads))

    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        version_table_schema=SCHEMA,
        on_version_apply=step,
        # Else it begins and commits: as a part of a host's script it must not.
        transactional_ddl=context.config.attributes.get("transaction", True),
    )
    start = context.get_starting_revision_argument()
    with context.begin_transaction():
        context.execute(f"select pg_advisory_xact_lock({LOCK})")
        if start is None:
            context.execute(f"create schema if not exists {SCHEMA}")
        context.run_migrations()
        if reached and reached[-1]:
            context.get_context().impl.static_output(SHARE.strip())
        elif reached:
            context.execute(f"drop table {SCHEMA}.{TABLE}")
            context.execute(f"drop schema {SCHEMA}")


def migrate(connection: sa.Connection) -> None:
    """In one transaction: lock, schema, revisions, and no trace if nothing is left."""
    context.configure(connection=connection, version_table_schema=SCHEMA)
    runtime = context.get_context()
    if runtime.opts.get("dont_mutate"):  # `alembic current` and the like
        context.run_migrations()
        return
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    exists = connection.scalar(sa.text("select to_regnamespace(:name)"), {"name": SCHEMA})
    if exists is None:
        connection.execute(sa.text(f"create schema {SCHEMA}"))
    elif not runtime.get_current_heads() and connection.scalar(sa.text(FOREIGN)):
        raise CommandError(
            "schema recovery exists, but not by this environment: if another project's Alembic"
            " installed it (version_locations), run that project's `alembic upgrade heads`;"
            " else rename the schema"
        )
    context.run_migrations()
    if runtime.get_current_heads():
        connection.execute(sa.text(SHARE.replace(":", r"\:")))
    else:
        connection.execute(sa.text(f"drop table if exists {SCHEMA}.{TABLE}"))
        connection.execute(sa.text(f"drop schema if exists {SCHEMA}"))


# Does the schema hold anything but the version table?
FOREIGN = f"""
select exists (
    select from pg_catalog.pg_class c
    where c.relnamespace = '{SCHEMA}'::pg_catalog.regnamespace
      and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and c.relname <> '{TABLE}')
"""

# Whoever may change the schema may also upgrade it; whoever uses it may see the revision.
SHARE = f"""
do $$
declare
    v_owner name := pg_catalog.pg_get_userbyid(nspowner)
        from pg_catalog.pg_namespace where nspname = '{SCHEMA}';
begin
    if exists (
        select from pg_catalog.pg_tables
        where schemaname = '{SCHEMA}' and tablename = '{TABLE}'
          and (tableowner <> v_owner or not pg_catalog.has_table_privilege(
              'recovery_listener', '{SCHEMA}.{TABLE}', 'select')))
    then
        execute pg_catalog.format('alter table {SCHEMA}.{TABLE} owner to %I', v_owner);
        grant select on {SCHEMA}.{TABLE} to recovery_server, recovery_listener;
    end if;
end
$$;
"""

if context.is_offline_mode():
    offline()
elif (given := context.config.attributes.get("connection")) is not None:
    migrate(given)  # recovery.schema: in its transaction
else:
    # The plain `alembic` command, for whoever writes revisions here.
    url = context.config.get_main_option("sqlalchemy.url") or os.environ["RECOVERY_DSN"]
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as own:
        migrate(own)
