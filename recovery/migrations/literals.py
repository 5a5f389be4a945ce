"""Operations as SQL that stands alone: literals, no parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from recovery.calls.core import text
from recovery.declared.compiling import dialect

__all__ = ["interval", "invoke", "literal", "relation"]


def relation(table: str, schema: str | None) -> str:
    """A table as SQL writes it: ``job``, ``app."Job"``."""
    preparer = dialect().identifier_preparer
    return ".".join(preparer.quote(part) for part in (schema, table) if part)


def literal(value: Any) -> str:
    """A value as SQL writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, timedelta):
        return _quoted(interval(value))
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return f"{_quoted(_json(value))}::jsonb"
    if isinstance(value, Sequence):
        return f"array[{', '.join(map(literal, value))}]::text[]"
    raise TypeError(f"an option of a watch can't be {value!r}")


def invoke(routine: str, *arguments: str, **options: Any) -> str:
    """A call of a routine of ours, an option a line: ``p_open => 'status = ''running'''``."""
    named = [f"p_{name} => {literal(value)}" for name, value in options.items()]
    return f"select recovery.{routine}({(',' + chr(10) + '    ').join([*arguments, *named])})"


def interval(value: timedelta) -> str:
    """A duration as PostgreSQL reads it, to the microsecond."""
    parts = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    return " ".join(f"{number} {unit}" for unit, number in parts.items() if number) or "0 seconds"


def _json(value: Mapping[str, Any]) -> str:
    def plain(one: Any) -> Any:
        if isinstance(one, timedelta):
            return interval(one)
        raise TypeError(f"an option of a watch can't be {one!r}")

    return json.dumps(dict(value), ensure_ascii=False, default=plain)


def _quoted(value: str) -> str:
    text(value, "option")
    quoted = value.replace("'", "''")
    # A plain literal that holds a backslash means something else where
    # standard_conforming_strings is off.
    return "E'{}'".format(quoted.replace("\\", "\\\\")) if "\\" in quoted else f"'{quoted}'"
