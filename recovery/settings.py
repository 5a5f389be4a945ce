"""Settings of the watchdog: timeouts and graces, in the database, the same for every server.

    recovery.configure(engine, "tool_timeout", "10 min")
    recovery.configure(engine, "tool_timeout", "1 h", kind="task")
    recovery.setting(engine, "tool_timeout", kind="bash")  # '00:10:00'

Every sweep reads them again, so a change needs no restart. There are

- ``tool_timeout``, ``task_timeout``, ``idle_timeout``, ``wall_timeout``: off unless set,
- ``propagation_grace`` (30 s) and ``cancel_grace`` (10 s),
- ``idle_roots`` (false),
- ``unowned_expected`` (false): whether open rows that nobody owns are meant to be there; if
  not, sweepers warn of them.

A value is a text with units (``90s``, ``10 min``, ``1 h 30 min``, ``00:10:00``), a timedelta,
``off`` or 0, or a bool; None removes it, so that the next wider one counts, at last the
built-in default. A value for a group goes before one for a kind, a watch, and everything.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import psycopg

from recovery import _connect, calls
from recovery.calls import Call
from recovery.errors import InvalidArgument

__all__ = ["VARIABLES", "Setting", "Value", "aconfigure", "asetting", "configure", "setting"]

T = TypeVar("T")
Value: TypeAlias = str | timedelta | bool | None

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
    )
}


@dataclass(frozen=True)
class Setting:
    """One line of ``recovery.setting_status``; empty: for every watch, kind or group."""

    name: str
    watch: str
    kind: str
    group: str
    value: str
    source: str
    changed_at: datetime | None
    changed_by: str | None


def configure(
    target: calls.Connection | _connect.Target,
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
    return _run(target, _configure(name, value, watch, kind, group))


async def aconfigure(
    target: calls.AnyAsyncConnection | _connect.Target, name: str, value: Value, **scope: str | None
) -> str | None:
    """`configure` on an async connection, or without blocking the event loop."""
    return await _arun(target, _configure(name, value, **scope))


def setting(
    target: calls.Connection | _connect.Target,
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
    return _run(target, _setting_of(name, watch, kind, group))


async def asetting(
    target: calls.AnyAsyncConnection | _connect.Target, name: str, **scope: str | None
) -> str | None:
    """`setting` on an async connection, or without blocking the event loop."""
    return await _arun(target, _setting_of(name, **scope))


def status() -> Call[list[Setting]]:
    """What was set, and the built-in defaults."""
    return Call(
        "select name, watch, kind, group_key, value, source, changed_at, changed_by"
        " from recovery.setting_status",
        {},
        lambda rows: [Setting(*row) for row in rows],
    )


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
            calls.run(conn, _check(name, value))
        except InvalidArgument as error:
            raise InvalidArgument(f"{label}{error.message}", hint=error.hint) from error

    def apply() -> None:
        # In one order, so that servers which boot at once do not wait for each other in a circle.
        for _, name, value in sorted(named, key=lambda one: one[1]):
            calls.run(conn, _configure(name, value))

    return apply


def _check(name: str, value: Value) -> Call[str | None]:
    return Call(
        "select recovery.check_setting(%(name)s::text, %(value)s::text)",
        {"name": name, "value": _text(value)},
        calls.one,
    )


def _configure(
    name: str,
    value: Value,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> Call[str | None]:
    return Call(
        "select recovery.configure(%(name)s::text, %(value)s::text, %(watch)s::text,"
        " %(kind)s::text, %(group)s::text)",
        {"name": name, "value": _text(value), "watch": watch, "kind": kind, "group": group},
        calls.one,
    )


def _setting_of(
    name: str, watch: str | None = None, kind: str | None = None, group: str | None = None
) -> Call[str | None]:
    return Call(
        "select recovery.get_setting(%(name)s::text, %(watch)s::text, %(kind)s::text,"
        " %(group)s::text)",
        {"name": name, "watch": watch, "kind": kind, "group": group},
        calls.one,
    )


def _text(value: object) -> str | None:
    """The text that SQL is to judge; a number has no unit, and is refused there."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, timedelta):
        span = abs(value)
        seconds = f"{span.seconds}.{span.microseconds:06d}".rstrip("0").rstrip(".")
        return f"{'-' if value < timedelta() else ''}{span.days} days {seconds} s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _run(target: Any, call: Call[T]) -> T:
    sa_orm = sys.modules.get("sqlalchemy.orm")
    sa = sys.modules.get("sqlalchemy")
    if (
        isinstance(target, psycopg.Connection)
        or (sa is not None and isinstance(target, sa.Connection))
        or (sa_orm is not None and isinstance(target, sa_orm.Session))
    ):
        return calls.run(target, call)
    with _connect.connect(target, "settings") as conn:
        _connect.check_schema(conn)
        return calls.run(conn, call)


async def _arun(target: Any, call: Call[T]) -> T:
    sa = sys.modules.get("sqlalchemy.ext.asyncio")
    if isinstance(target, psycopg.AsyncConnection) or (
        sa is not None and isinstance(target, sa.AsyncConnection | sa.AsyncSession)
    ):
        return await calls.arun(target, call)
    return await asyncio.to_thread(_run, target, call)
