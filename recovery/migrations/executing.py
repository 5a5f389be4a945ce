"""What the operations do: in the database, or as SQL on paper (``--sql``)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

from recovery import errors, schema, watch
from recovery.migrations.literals import invoke, literal, relation
from recovery.migrations.operations import (
    AlterWatchOp,
    CreateWatchOp,
    DropWatchOp,
    InstallRecoveryOp,
    UninstallRecoveryOp,
)

__all__ = ["register"]

_INSTALL = (
    "put op.install_recovery() before it, or run `recovery migrate upgrade`; where our revisions"
    " are in version_locations, the revision depends on them: depends_on = 'recovery_0001'"
)


def register() -> None:
    """Tells Alembic; it keeps one implementation an operation."""
    for operation, implementation in (
        (InstallRecoveryOp, _install),
        (UninstallRecoveryOp, _uninstall),
        (CreateWatchOp, _create),
        (AlterWatchOp, _alter),
        (DropWatchOp, _drop),
    ):
        Operations.implementation_for(operation, replace=True)(implementation)


def _install(operations: Operations, operation: InstallRecoveryOp) -> None:
    if not operations.migration_context.as_sql:
        schema.upgrade(operations.get_bind(), operation.revision)
        return
    steps = f"{operation.existing or 'base'}:{operation.revision}"
    script = io.StringIO()
    schema.upgrade(revision=steps, sql=True, output=script, transaction=False)
    _write(operations, script.getvalue())


def _uninstall(operations: Operations, operation: UninstallRecoveryOp) -> None:
    if not operations.migration_context.as_sql:
        schema.downgrade(operations.get_bind(), operation.revision)
        return
    steps = f"{operation.existing or 'heads'}:{operation.revision}"
    script = io.StringIO()
    schema.downgrade(revision=steps, sql=True, output=script, transaction=False)
    _write(operations, script.getvalue())


def _create(operations: Operations, operation: CreateWatchOp) -> None:
    options = {name: value for name, value in operation.options.items() if value is not None}
    supervise = options.pop("supervise", None)
    table = relation(operation.table_name, operation.schema)
    with _outside(operations, operation.concurrently):
        if not operation.concurrently:
            _run(operations, invoke("attach", literal(table), **options))
        elif operations.migration_context.as_sql:
            _run(operations, invoke("attach", literal(table), **options, concurrently=True))
            _write(operations, _steps("attach_steps", literal(table)))
        else:
            watch.attach(operations.get_bind(), table, **options, concurrently=True)
        if supervise:
            _run(operations, invoke("supervise", literal(table), **supervise))


def _alter(operations: Operations, operation: AlterWatchOp) -> None:
    changes = dict(operation.changes)
    supervise = changes.pop("supervise", ...)
    table = relation(operation.table_name, operation.schema)
    with _outside(operations, operation.concurrently):
        if changes and not operation.concurrently:
            _run(operations, invoke("alter", literal(table), literal(changes)))
        elif changes and operations.migration_context.as_sql:
            _write(operations, _steps("alter_steps", literal(table), literal(changes)))
            _run(operations, invoke("alter", literal(table), literal({})))
        elif changes:
            watch.alter(operations.get_bind(), table, **changes, concurrently=True)
        if supervise is not ...:
            _run(operations, invoke("supervise", literal(table), **(supervise or {})))


def _drop(operations: Operations, operation: DropWatchOp) -> None:
    table = relation(operation.table_name, operation.schema)
    with _outside(operations, operation.concurrently):
        if not operation.concurrently:
            _run(operations, invoke("detach", literal(table)))
        elif operations.migration_context.as_sql:
            _write(operations, _steps("detach_steps", literal(table)))
        else:
            watch.detach(operations.get_bind(), table, concurrently=True)


def _steps(routine: str, *arguments: str) -> str:
    """For psql: it executes what the query returns, each by itself."""
    return f"select s.statement from recovery.{routine}({', '.join(arguments)}) as s \\gexec"


@contextmanager
def _outside(operations: Operations, concurrently: bool) -> Iterator[None]:
    """Outside of the migration's transaction, if that is asked for."""
    if concurrently:
        with operations.migration_context.autocommit_block():
            yield
    else:
        yield


def _run(operations: Operations, statement: str) -> None:
    """Executes a statement byte for byte, or writes it."""
    if operations.migration_context.as_sql:
        _write(operations, f"{statement};")
        return
    try:
        # Else `:name` would be a parameter.
        operations.execute(sa.text(statement.replace(":", r"\:")))
    except sa.exc.DBAPIError as error:
        found: Any = errors.from_driver(error)
        if found is None:
            raise
        if isinstance(found, errors.SchemaMismatch):
            found.hint = _INSTALL
        raise found from error


def _write(operations: Operations, script: str) -> None:
    # Not by execute: Alembic would replace tabs, and double `%` for some drivers.
    operations.migration_context.impl.static_output(script.strip())
