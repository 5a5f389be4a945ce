"""Settings in the database, the same for every server: timeouts, graces, what is kept.

    recovery.configure(engine, "tool_timeout", "10 min")
    recovery.configure(engine, "tool_timeout", "1 h", kind="task")
    recovery.setting(engine, "tool_timeout", kind="bash")  # '00:10:00'

Every sweep reads them again, so a change needs no restart. There are

- ``tool_timeout``, ``task_timeout``, ``idle_timeout``, ``wall_timeout``: off unless set,
- ``propagation_grace`` (30 s) and ``cancel_grace`` (10 s),
- ``idle_roots`` (false),
- ``unowned_expected`` (false): whether open rows that nobody owns are meant to be there; if
  not, sweepers warn of them,
- ``event_retention`` (7 days): how long events are kept, at least,
- ``history_retention`` (30 days): how long ended servers, and their processes, are kept,
- ``drop_unread`` (false): whether events are dropped although a consumer has yet to read them.

A value is a text with units (``90s``, ``10 min``, ``1 h 30 min``, ``00:10:00``), a timedelta,
``off`` or 0, or a bool; None removes it, so that the next wider one counts, at last the
built-in default. A value for a group goes before one for a kind, a watch, and everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from recovery import calls
from recovery.calls.settings import Value
from recovery.database.once import AsyncWhere, Where, ado, do
from recovery.errors import InvalidArgument

__all__ = ["VARIABLES", "aconfigure", "asetting", "configure", "setting"]

#: Environment variable -> setting: what `recovery.boot` sets unless it is given settings.
VARIABLES: Mapping[str, str] = {
    f"RECOVERY_{name.upper()}": name
    for name in (
        "tool_timeout",
        "task_timeout",
        "idle_timeout",
        "wall_timeout",
        "propagation_grace",
        "cancel_grace",
        "idle_roots",
        "unowned_expected",
        "event_retention",
        "history_retention",
        "drop_unread",
    )
}


def configure(
    target: Where,
    name: str,
    value: Value,
    *,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> str | None:
    """Sets a setting, for everything or for one watch, kind of work, group; None removes it.

    Args:
        target: a psycopg or SQLAlchemy connection or a Session, in whose transaction it
            happens; or any other `recovery.Target`, where it is committed at once.
        name: which one, see `recovery.settings`.
        value: with its unit; 0 or ``off`` for no limit.

    Returns:
        The value as it is stored: ``00:10:00``, ``off``, ``true``; None if it was removed.

    Raises:
        InvalidArgument: no such setting, or the value is not allowed (RC010).
        WatchUnknown: nothing is watched by that name (RC008).
        PermissionDenied: the role is not a member of recovery_server (42501).
    """
    return do(target, calls.settings.configure(name, value, watch, kind, group), "settings")


async def aconfigure(
    target: AsyncWhere,
    name: str,
    value: Value,
    *,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> str | None:
    """`configure` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.settings.configure(name, value, watch, kind, group), "settings")


def setting(
    target: Where,
    name: str,
    *,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> str | None:
    """The value of a setting that applies to a watch, kind of work and group.

    Args:
        target: as of `configure`.
        name: which one, see `recovery.settings`.

    Returns:
        As it is stored; None if it is off.

    Raises:
        InvalidArgument: no such setting (RC010).
        PermissionDenied: neither a member of recovery_server nor of recovery_listener (42501).
    """
    return do(target, calls.settings.setting_of(name, watch, kind, group), "settings")


async def asetting(
    target: AsyncWhere,
    name: str,
    *,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> str | None:
    """`setting` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.settings.setting_of(name, watch, kind, group), "settings")


def prepare(conn: psycopg.Connection[Any], given: Mapping[str, Value] | None) -> Callable[[], None]:
    """What a boot sets for everything: checked now, set by calling the result.

    Args:
        given: setting -> value; None for what the environment says.

    Raises:
        InvalidArgument: a setting or value that can't be; says which variable (RC010).
    """
    if given is None:
        said = {variable: os.environ.get(variable, "").strip() for variable in VARIABLES}
        named = [(f"{v}: ", VARIABLES[v], value) for v, value in said.items() if value]
    else:
        named = [("", name, value) for name, value in given.items()]  # type: ignore[misc]
    for label, name, value in named:
        try:
            calls.run(conn, calls.settings.check(name, value))
        except InvalidArgument as error:
            raise InvalidArgument(f"{label}{error.message}", hint=error.hint) from error

    def apply() -> None:
        # In one order, so that servers which boot at once do not wait for each other in a circle.
        for _, name, value in sorted(named, key=lambda one: one[1]):
            calls.run(conn, calls.settings.configure(name, value))

    return apply
