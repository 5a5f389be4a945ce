"""What the host's models declare, against what is attached."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import typer

from recovery import calls
from recovery.cli.doctor.finding import Finding

__all__ = ["compare", "declared"]

#: The agent store's: its own revision attaches them.
_OURS = "agent"

#: Options of `recovery.supervise`; all others are those of `recovery.attach`.
_SUPERVISION = frozenset(("kind", "activity", "timeout", "hold", "child", "cancel"))


def declared(app: str) -> list[Any]:
    """The declarations of ``module:metadata`` (or a base, a model, a registry)."""
    module, colon, name = app.partition(":")
    if not (module and colon and name):
        raise typer.BadParameter(f"--app {app!r} is not module:metadata")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as Alembic, uvicorn and the like do
    try:
        source: Any = importlib.import_module(module)
        for part in name.split("."):
            source = getattr(source, part)
    except Exception as error:
        raise typer.BadParameter(f"--app {app}: {type(error).__name__}: {error}") from error
    from recovery.declared.finding import watches

    return list(watches(source))


def compare(conn: psycopg.Connection[Any], app: str, found: list[Any]) -> Iterable[Finding]:
    """What is not as it is declared."""
    attached = {each["relation"]: each for each in calls.run(conn, calls.watch.attached())}
    known: set[str] = set()
    for one in found:
        relation = calls.run(conn, calls.watch.resolve(one.relation))
        if relation is None:
            yield Finding(
                *("table-missing", "error", "table", one.relation),
                f"{app} declares its watch, and there is no such table",
                "alembic upgrade heads",
            )
            continue
        known.add(relation)
        if relation not in attached:
            yield Finding(
                *("watch-not-attached", "error", "table", relation),
                f"{app} declares its watch, and it is not attached",
                " ".join(_statements(conn, relation, one)),
            )
            continue
        yield from _differences(conn, app, attached[relation]["name"], relation, one)
    for relation, each in attached.items():
        if relation not in known and each["schema"] != _OURS:
            yield Finding(
                *("watch-not-declared", "warning", "watch", each["name"]),
                f"{relation} is watched, and {app} does not declare it",
                f"declare it, or: select recovery.detach({_literal(relation)});",
            )


def _differences(
    conn: psycopg.Connection[Any], app: str, name: str, relation: str, one: Any
) -> Iterable[Finding]:
    said = calls.run(conn, calls.watch.compare(relation, one.options, one.supervision))
    if not said:
        return
    # Altering keeps the owners of work in flight.
    made: list[calls.Call[Any]] = []
    changed = {option: one.options.get(option) for option in said if option not in _SUPERVISION}
    if changed:
        made.append(calls.watch.alter(relation, changed))
    if _SUPERVISION & set(said):
        made.append(
            calls.watchdog.unsupervise(relation)
            if one.supervision is None
            else calls.watchdog.supervise(relation, **one.supervision)
        )
    yield Finding(
        *("watch-differs", "error", "watch", name),
        f"{app} declares other values of {', '.join(said)}",
        " ".join(_typed(conn, call) for call in made),
    )


def _statements(conn: psycopg.Connection[Any], relation: str, one: Any) -> list[str]:
    """What attaches it, as one would type it."""
    made = [calls.watch.attach(relation, **one.options)]
    if one.supervision is not None:
        made.append(calls.watchdog.supervise(relation, **one.supervision))
    return [_typed(conn, call) for call in made]


def _typed(conn: psycopg.Connection[Any], call: calls.Call[Any]) -> str:
    with psycopg.ClientCursor(conn) as cursor:
        return f"{cursor.mogrify(call.sql.encode(), call.params)};"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
