"""The operations of a revision: what each says, and what takes it back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.util import CommandError

from recovery import calls

__all__ = [
    "AlterWatchOp",
    "CreateWatchOp",
    "DropWatchOp",
    "InstallRecoveryOp",
    "UninstallRecoveryOp",
    "defaults",
]


def defaults() -> dict[str, Any]:
    """The options of a watch with their defaults, as `recovery.attach` has them."""
    return _options(calls.watch.attach) | {"supervise": None}


def _options(routine: Any) -> dict[str, Any]:
    return {
        one.name: None if one.default is one.empty else one.default
        for one in inspect.signature(routine).parameters.values()
        if one.name not in ("table", "concurrently")
    }


def _check(operation: str, table: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options; a misspelt one is refused before anything is done."""
    unknown = sorted(set(options) - set(defaults()))
    supervise = options.get("supervise")
    if isinstance(supervise, Mapping):
        known = _options(calls.watchdog.supervise)
        unknown += sorted(f"supervise[{name!r}]" for name in set(supervise) - set(known))
    if unknown:
        raise CommandError(
            f"op.{operation}({table!r}): no such option: {', '.join(unknown)};"
            f" there are {', '.join(sorted(defaults()))}"
        )
    return dict(options)


@Operations.register_operation("install_recovery")
class InstallRecoveryOp(MigrateOperation):
    """Installs or upgrades schema recovery, up to a revision of this package."""

    def __init__(self, revision: str, *, existing: str | None = None) -> None:
        self.revision = revision
        self.existing = existing

    @classmethod
    def install_recovery(
        cls,
        operations: Operations,
        revision: str = "recovery@head",
        *,
        existing: str | None = None,
    ) -> None:
        """Installs schema recovery, in this transaction; a second time it does nothing.

        Its version table is ``recovery.alembic_version``: the host's revisions stay one line.

        Args:
            operations: the ``op`` of the revision.
            revision: of this package. Name one, as autogenerate does, and the revision does the
                same years later.
            existing: which one is there already; it is needed for ``--sql`` only.
        """
        operations.invoke(cls(revision, existing=existing))

    def reverse(self) -> MigrateOperation:
        return UninstallRecoveryOp(self.existing or "base", existing=self.revision)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("install_recovery", self.revision)


@Operations.register_operation("uninstall_recovery")
class UninstallRecoveryOp(MigrateOperation):
    """Removes schema recovery, or takes it back to a revision of this package."""

    def __init__(self, revision: str = "base", *, existing: str | None = None) -> None:
        self.revision = revision
        self.existing = existing

    @classmethod
    def uninstall_recovery(
        cls, operations: Operations, revision: str = "base", *, existing: str | None = None
    ) -> None:
        """Removes schema recovery with all it holds, and detaches what is still watched.

        Args:
            operations: the ``op`` of the revision.
            revision: where to go back to; ``base``: nothing stays.
            existing: which one is there; it is needed for ``--sql`` only.
        """
        operations.invoke(cls(revision, existing=existing))

    def reverse(self) -> MigrateOperation:
        existing = None if self.revision == "base" else self.revision
        return InstallRecoveryOp(self.existing or "recovery@head", existing=existing)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("uninstall_recovery", self.revision)


@Operations.register_operation("create_watch")
class CreateWatchOp(MigrateOperation):
    """Attaches a table."""

    def __init__(
        self,
        table_name: str,
        options: Mapping[str, Any],
        *,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        self.table_name = table_name
        self.schema = schema
        self.concurrently = concurrently
        self.options = _check("create_watch", table_name, options)
        if not self.options.get("open") or not self.options.get("close"):
            raise CommandError(f"op.create_watch({table_name!r}): open and close are needed")

    @classmethod
    def create_watch(
        cls,
        operations: Operations,
        table_name: str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
        **options: Any,
    ) -> None:
        """Watches a table.

        Args:
            operations: the ``op`` of the revision.
            table_name: the table.
            schema: its schema; without it the search_path finds the table.
            concurrently: while readers and writers go on, in short steps outside of the
                transaction; what was interrupted goes on when it is run again. With ``--sql``
                for psql.
            options: those of `recovery.attach`, all expressions as SQL text; ``supervise``: a
                dict with those of `recovery.supervise`.
        """
        operations.invoke(cls(table_name, options, schema=schema, concurrently=concurrently))

    def reverse(self) -> MigrateOperation:
        return DropWatchOp(
            self.table_name,
            schema=self.schema,
            concurrently=self.concurrently,
            options=self.options,
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_watch", self.schema, self.table_name, self.options)


@Operations.register_operation("alter_watch")
class AlterWatchOp(MigrateOperation):
    """Changes options of a watch; the work in flight keeps its owners."""

    def __init__(
        self,
        table_name: str,
        changes: Mapping[str, Any],
        *,
        schema: str | None = None,
        existing: Mapping[str, Any] | None = None,
        concurrently: bool = False,
    ) -> None:
        self.table_name = table_name
        self.schema = schema
        self.concurrently = concurrently
        self.changes = _check("alter_watch", table_name, changes)
        self.existing = None if existing is None else dict(existing)
        if not self.changes:
            raise CommandError(f"op.alter_watch({table_name!r}): nothing is changed")

    @classmethod
    def alter_watch(
        cls,
        operations: Operations,
        table_name: str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
        **changes: Any,
    ) -> None:
        """Changes a watch.

        Args:
            operations: the ``op`` of the revision.
            table_name: the watched table.
            schema: its schema.
            concurrently: as of `create_watch`.
            changes: the options that become different, as of `create_watch`; None: not given
                any more. The others stay.
        """
        operations.invoke(cls(table_name, changes, schema=schema, concurrently=concurrently))

    def reverse(self) -> MigrateOperation:
        if self.existing is None:
            raise CommandError(
                f"op.alter_watch({self.table_name!r}): what it was before is not known"
            )
        return AlterWatchOp(
            self.table_name,
            self.existing,
            schema=self.schema,
            existing=self.changes,
            concurrently=self.concurrently,
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("modify_watch", self.schema, self.table_name, self.existing, self.changes)


@Operations.register_operation("drop_watch")
class DropWatchOp(MigrateOperation):
    """Detaches a table; keeps what is needed to attach it again."""

    def __init__(
        self,
        table_name: str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.table_name = table_name
        self.schema = schema
        self.concurrently = concurrently
        self.options = None if options is None else dict(options)

    @classmethod
    def drop_watch(
        cls,
        operations: Operations,
        table_name: str,
        *,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Stops watching a table and restores it as it was; its events stay.

        Args:
            operations: the ``op`` of the revision.
            table_name: the watched table.
            schema: its schema.
            concurrently: as of `create_watch`.
        """
        operations.invoke(cls(table_name, schema=schema, concurrently=concurrently))

    def reverse(self) -> MigrateOperation:
        if self.options is None:
            raise CommandError(
                f"op.drop_watch({self.table_name!r}): what the watch was is not known"
            )
        return CreateWatchOp(
            self.table_name, self.options, schema=self.schema, concurrently=self.concurrently
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("remove_watch", self.schema, self.table_name, self.options)
