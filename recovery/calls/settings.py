"""Settings of the watchdog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from recovery.calls.core import Call, one

__all__ = ["Setting", "Value", "check", "configure", "setting_of", "status"]

Value: TypeAlias = str | timedelta | bool | None


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


def status() -> Call[list[Setting]]:
    """What was set, and the built-in defaults."""
    return Call(
        "select name, watch, kind, group_key, value, source, changed_at, changed_by"
        " from recovery.setting_status",
        {},
        lambda rows: [Setting(*row) for row in rows],
    )


def check(name: str, value: Value) -> Call[str | None]:
    """The value as it would be stored; nothing is. RC010."""
    return Call(
        "select recovery.check_setting(%(name)s::text, %(value)s::text)",
        {"name": name, "value": _text(value)},
        one,
    )


def configure(
    name: str,
    value: Value,
    watch: str | None = None,
    kind: str | None = None,
    group: str | None = None,
) -> Call[str | None]:
    """Sets a setting, or removes it (None); the value as it is stored. RC008, RC010."""
    return Call(
        "select recovery.configure(%(name)s::text, %(value)s::text, %(watch)s::text,"
        " %(kind)s::text, %(group)s::text)",
        {"name": name, "value": _text(value), "watch": watch, "kind": kind, "group": group},
        one,
    )


def setting_of(
    name: str, watch: str | None = None, kind: str | None = None, group: str | None = None
) -> Call[str | None]:
    """The value that applies; None if it is off. RC010."""
    return Call(
        "select recovery.get_setting(%(name)s::text, %(watch)s::text, %(kind)s::text,"
        " %(group)s::text)",
        {"name": name, "watch": watch, "kind": kind, "group": group},
        one,
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
