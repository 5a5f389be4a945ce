"""The file that a generated revision becomes: what it depends on, and what it follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import to_list

from recovery.migrations.operations import AlterWatchOp, CreateWatchOp
from recovery.schema import paths

__all__ = ["core", "hook"]


def core(script: ScriptDirectory | None) -> str | None:
    """Our newest core revision, where the host has our revisions in its version_locations."""
    # The agent store depends on it, so it is none of Alembic's heads.
    for one in () if script is None else script.walk_revisions():
        if one.is_head and "recovery" in one.branch_labels and _is_ours(one):
            return one.revision
    return None


def hook(context: MigrationContext) -> None:
    """Puts ourselves before the host's process_revision_directives, once."""
    host = context.opts.get("process_revision_directives")
    if getattr(host, "is_recovery", False):
        return

    def process(
        migration: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
    ) -> None:
        for directive in directives:
            _follow(directive, migration.script)
            _depend(directive, migration.script)
        if host:
            host(migration, revision, directives)

    process.is_recovery = True  # type: ignore[attr-defined]
    context.opts["process_revision_directives"] = process


def _depend(directive: ops.MigrationScript, script: ScriptDirectory | None) -> None:
    """A revision that makes a watch comes after the schema."""
    needed = core(script)
    if needed is None:
        return
    every = [*directive.upgrade_ops_list, *directive.downgrade_ops_list]
    if any(isinstance(op, CreateWatchOp | AlterWatchOp) for one in every for op in one.ops):
        known = [str(one) for one in to_list(directive.depends_on, [])]
        directive.depends_on = [*known, *({needed} - set(known))]


def _follow(directive: ops.MigrationScript, script: ScriptDirectory | None) -> None:
    """Where no head was named and only ours stand beside the host's one, that is meant.

    Else Alembic would refuse (multiple heads), or, where the host has none yet, write the
    host's first revision into our folder.
    """
    heads = _heads(script)
    hosts = [head.revision for head in heads if not _is_ours(head)]
    named = directive.head not in (None, "head")
    if named or len(hosts) == len(heads) or len(hosts) > 1:
        return
    directive.head = hosts[0] if hosts else "base"
    if not hosts and directive.version_path is None and script is not None:
        places = [place for place in script._version_locations if Path(place) != _versions()]
        directive.version_path = str(places[0]) if places else None


def _heads(script: ScriptDirectory | None) -> list[Script]:
    return [] if script is None else list(_scripts(script.get_revisions("heads")))


def _scripts(found: Iterable[Script | None]) -> Iterator[Script]:
    return (one for one in found if one is not None)


def _is_ours(script: Script) -> bool:
    return Path(script.path).resolve().parent == _versions()


def _versions() -> Path:
    return (paths.alembic_dir() / "versions").resolve()
